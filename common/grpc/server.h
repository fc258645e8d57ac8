// Server side of our gRPC: services on Unix sockets and on TCP with mutual TLS, with gRPC's traps
// closed: one process owns a socket path (a lock file beside it), socket modes, a failed bind is an
// error with a reason, threads and message sizes have limits, Shutdown has a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace grpc {
class Service;
}

namespace tarn::rpcs {

inline constexpr int kServerThreadsMax = 64;
inline constexpr std::chrono::seconds kShutdownGrace{3};

struct ListenAt {
  std::string endpoint;         // as NormaliseEndpoint takes it; port 0: the system's choice
  std::string tls_dir;          // for host:port, required
  unsigned socket_mode = 0600;  // set right after the bind: put sockets into a closed directory
};

class Server {
 public:
  // `services` must outlive the server. kInvalid: a bad endpoint or TLS directory; kInUse: another
  // process owns the socket path; kUnavailable: cannot bind.
  static Result<std::unique_ptr<Server>> Start(const std::vector<ListenAt>& listeners,
                                               const std::vector<grpc::Service*>& services);
  // Lets running calls end within kShutdownGrace, then cancels them; removes its sockets.
  virtual ~Server() = default;
  // Of the i-th listener; 0 for a Unix socket.
  virtual uint16_t port(size_t i) const = 0;
};

}  // namespace tarn::rpcs
