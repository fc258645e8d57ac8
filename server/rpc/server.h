// The ONC RPC server over TCP: listeners, record marking (RFC 5531 section 11), workers that run to
// completion.
//
// A worker takes one record from a connection (epoll, one shot), re-arms the connection, runs the
// call and writes the reply; so several calls of one connection run at once. A call that never
// waits (Call::AboutToWait) is run before the connection is armed again, and what the client sent
// behind it too: waking another worker costs more than such calls do. Replies may leave in any
// order.
//
// Bad input: a record above record_bytes_max, a fragment header that lies, or bytes that are no RPC
// call close the connection with one log line that says what was wrong; everything else is answered
// as RFC 5531 says (PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS, RPC_MISMATCH,
// AUTH_ERROR).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "common/result.h"
#include "server/rpc/program.h"

namespace tarn::rpc {

struct ServerOptions {
  size_t record_bytes_max = (1 << 20) + 64 * 1024;  // one WRITE of 1 MiB and its compound
  uint32_t connections_max = 25'000;                // further ones are closed at once
  uint32_t workers_min = 0;                         // 0: max(8, 2 x cores)
  uint32_t workers_max = 256;
  size_t pending_bytes_per_connection_max = 16
                                            << 20;  // requests and replies; above it reading pauses
  std::chrono::seconds send_timeout{30};  // a client that takes no reply for this long is dropped
};

struct ServerCounters {
  uint64_t connections = 0;  // open now
  uint64_t accepted = 0, refused = 0, calls = 0, bad_records = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
};

class Server {
 public:
  // `program` must outlive the server.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Program& program);
  // Closes all; returns when no call runs any more.
  virtual ~Server() = default;

  struct Listener {
    uint64_t id = 0;
    uint16_t port = 0;
  };
  // `address` is numeric (IPv4 or IPv6); port 0: the system's choice. `tag` becomes Peer::listener.
  // kInvalid: not an address. kUnavailable: cannot bind, and why.
  virtual Result<Listener> Listen(const std::string& address, uint16_t port, uint64_t tag) = 0;
  // Stops it and closes its connections.
  virtual void StopListening(uint64_t id) = 0;
  virtual ServerCounters counters() const = 0;
};

}  // namespace tarn::rpc
