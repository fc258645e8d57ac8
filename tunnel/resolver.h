// Resolver: names of servers to addresses, by the system's resolver on threads of its own, since
// that one waits.
//
// A name that does not resolve now has the addresses of the last time: a name service that is down
// ends no mount. Threads: any; the destructor drops what was not answered.
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/result.h"
#include "tunnel/settings.h"

namespace tarn::tunnel {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

class Resolver {
 public:
  static constexpr size_t kThreads = 4;
  static constexpr size_t kNamesMax = 1024;   // whose addresses are remembered
  static constexpr size_t kAddressesMax = 8;  // of one name that are tried

  using Addresses = std::vector<SocketAddress>;
  using Answer = std::function<void(Result<Addresses>)>;

  Resolver();
  ~Resolver();

  // A numeric address is answered at once, on this thread; a name on one of the resolver's. One
  // question is asked at a time for one name; those that come meanwhile share its answer.
  void Resolve(const ServerAddress& server, Answer answer);

 private:
  struct Name {
    std::vector<Answer> waiting;
    Addresses last;
    bool asked = false;
  };

  void Work();
  void Tell(const ServerAddress& server, Result<Addresses> found);

  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  bool stop_ = false;
  std::vector<ServerAddress> questions_;  // as many as names that are asked
  std::map<std::string, Name> names_;     // by ServerAddress::text
  std::vector<std::thread> threads_;
};

}  // namespace tarn::tunnel
