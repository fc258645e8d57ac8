// Informer: a local copy of all objects of one type, kept by list and watch, and a call for each
// change.
//
// List, then watch from the list's resourceVersion; bookmarks move that on. A watch that breaks is
// resumed where it was, with backoff; a version that is gone (410) is listed anew and compared, so
// deletions missed meanwhile are told. Thread rule: Start's thread runs the handlers, which must
// not block; reads are safe from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "operator/kube/client.h"

namespace tarn::kube {

class Informer {
 public:
  // Objects above this are not kept: the informer says so in the log and serves the first ones.
  static constexpr size_t kMaxObjects = 200000;

  struct Options {
    ListOptions list;
    // Cuts an object to what is needed before it is kept; may be empty.
    std::function<void(Json&)> trim;
    std::chrono::milliseconds first_retry{800};
    std::chrono::milliseconds last_retry{30000};
  };

  // `client` must outlive the informer.
  Informer(Client& client, ResourceType type, Options options);
  ~Informer();

  // Before Start. Called with the new object and whether it is gone.
  void OnChange(std::function<void(const Json& object, bool deleted)> handler);
  void Start();
  void Stop();

  // The first list is in. WaitSynced: false on stop or timeout.
  bool synced() const { return synced_; }
  bool WaitSynced(std::chrono::milliseconds timeout);

  std::optional<Json> Find(const ObjectName& name) const;
  std::vector<Json> All() const;
  // Only those that `wanted` picks, which must be quick and must not call this informer.
  std::vector<Json> Where(const std::function<bool(const Json&)>& wanted) const;
  const ResourceType& type() const { return type_; }
  // How often the whole list was read.
  int lists() const { return lists_; }

 private:
  void Run(std::stop_token stop);
  Result<std::string> Relist(bool any_version);
  void Handle(WatchEvent event, std::string& version);
  void Put(Json object);
  void Remove(const ObjectName& name);
  void Tell(const Json& object, bool deleted);
  bool Pause(std::stop_token stop, std::chrono::milliseconds time);

  Client& client_;
  const ResourceType type_;
  const Options options_;
  std::vector<std::function<void(const Json&, bool)>> handlers_;

  mutable std::mutex mu_;
  std::condition_variable_any wake_;
  std::map<ObjectName, Json> objects_;
  std::atomic<bool> synced_{false};
  std::atomic<int> lists_{0};
  std::jthread thread_;
};

}  // namespace tarn::kube
