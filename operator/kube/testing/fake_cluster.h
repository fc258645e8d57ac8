// FakeCluster: an API server in memory behind HttpTransport, for tests: objects, versions,
// generation, uid, merge and apply patches, finalizers, owner references, watch, and faults on
// demand. FakeServer puts it on a loopback socket.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "operator/kube/client.h"

namespace tarn::kube {

class FakeCluster : public HttpTransport {
 public:
  Result<HttpResponse> Do(const HttpRequest& request) override;
  Result<HttpResponse> Stream(const HttpRequest& request,
                              const std::function<bool(std::string_view)>& on_bytes,
                              std::stop_token stop) override;

  // Faults. The next answers, whatever is asked; status 0 stands for a network error.
  void FailNext(int status, const std::string& reason = "", int times = 1);
  // All watches end now, in the middle of a line if `mid_line`.
  void CutWatches(bool mid_line = false);
  // Forgets the history: a watch from before now gets 410.
  void Compact();
  // The next watches get this line first.
  void InjectWatchLine(const std::string& line);

  // A document that is no resource; null: it is not there; a number: the status of a failure.
  void SetDocument(const std::string& path, const Json& document);

  // Straight access by collection path ("/api/v1/namespaces/ns/services") and name.
  void Put(const std::string& collection, const Json& object);
  void Remove(const std::string& collection, const std::string& name);
  Json Find(const std::string& collection, const std::string& name);
  size_t Count(const std::string& collection);
  std::vector<std::string> requests();

 private:
  struct Event {
    int64_t version;
    std::string type;
    std::string collection;
    Json object;
  };
  HttpResponse Answer(const HttpRequest& request);
  HttpResponse ListOf(const std::string& collection, const std::string& query);
  HttpResponse Write(const HttpRequest& request, const std::string& collection,
                     const std::string& name, const std::string& sub);
  HttpResponse Store(const std::string& collection, const std::string& name, Json next,
                     const std::string& sub);
  HttpResponse Drop(const std::string& collection, const std::string& name);
  bool OwnersAreThere(const Json& object);
  void Erase(const std::string& collection, const std::string& name);
  void Tell(const std::string& type, const std::string& collection, const Json& object);

  std::mutex mu_;
  std::condition_variable_any wake_;
  std::map<std::string, std::map<std::string, Json>> objects_;
  std::map<std::string, Json> documents_;
  std::vector<Event> history_;
  int64_t version_ = 100;
  int64_t compacted_ = 0;
  int64_t next_uid_ = 1;
  int cuts_ = 0;
  bool cut_mid_line_ = false;
  std::deque<std::string> injected_;
  std::deque<std::pair<int, std::string>> faults_;
  std::vector<std::string> requests_;
};

// Serves a FakeCluster as HTTP/1.1 (watches chunked) on a loopback port of the system's choice.
class FakeServer {
 public:
  explicit FakeServer(FakeCluster& cluster, int port = 0);
  ~FakeServer();
  int port() const { return port_; }

 private:
  void Serve(int fd, const std::stop_token& stop);
  FakeCluster& cluster_;
  int listener_ = -1;
  int port_ = 0;
  std::mutex mu_;
  std::set<int> open_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

}  // namespace tarn::kube
