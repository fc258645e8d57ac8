// The server's listening sockets.
//
// Threads: Open, Close and CloseAll from any; Accept and Resume from the server's own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "common/result.h"
#include "server/rpc/program.h"

namespace tarn::rpc {

// A socket that is being connected to a numeric address; -1 when that cannot even be begun.
int StartConnecting(const std::string& address, uint16_t port);

class Listeners {
 public:
  static constexpr int kBacklog = 1024;
  static constexpr int kAcceptsPerTurn = 64;  // then other work has its turn
  static constexpr size_t kListenersMax = 1000;
  // Ids start here: the epoll set they share with other things keeps small numbers for those.
  static constexpr uint64_t kFirstId = 16;

  // `epoll` gets the sockets, level triggered, data.u64 is the listener's id.
  explicit Listeners(int epoll) : epoll_(epoll) {}
  ~Listeners() { CloseAll(); }
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  struct Opened {
    uint64_t id = 0;
    uint16_t port = 0;
  };
  Result<Opened> Open(const std::string& address, uint16_t port, uint64_t tag);
  void Close(uint64_t id);
  void CloseAll();

  // A new connection's socket, non-blocking, with Peer::connection yet to be given.
  using Visitor = std::function<void(int fd, Peer peer, uint64_t listener)>;
  // Takes what waits at the listener. When the process has no file descriptor left, the listener
  // rests until Resume, so that a full table does not make the server spin.
  void Accept(uint64_t id, const Visitor& visit);
  bool resting() const { return resting_; }
  void Resume();

 private:
  struct Listener {
    int fd = -1;
    uint64_t tag = 0;
  };
  void Watch(uint64_t id, const Listener& listener, uint32_t events, int operation) const;

  const int epoll_;
  bool resting_ = false;
  std::mutex mutex_;
  std::map<uint64_t, Listener> listeners_;  // guarded by mutex_
  uint64_t next_id_ = kFirstId;             // guarded by mutex_
};

}  // namespace tarn::rpc
