// The ONC RPC server over TCP: listeners, record marking (RFC 5531 section 11), workers that run to
// completion.
//
// A worker takes one record from a connection (epoll, one shot), re-arms the connection, runs the
// call and writes the reply; so several calls of one connection run at once. A call that never
// waits (Call::AboutToWait) is run before the connection is armed again, and what the client sent
// behind it too: waking another worker costs more than such calls do. Replies may leave in any
// order.
//
// TLS and plain connections come to the same port; the first byte tells. A TLS record begins with
// 0x16 (handshake), an RPC call with a record mark: 0x80 or so for a last fragment, and 0x16 only
// for a fragment of 369 MB or more that is not the last, which is refused anyway since
// record_bytes_max is far below. A connection may also begin in the clear and ask for TLS by a call
// (RFC 9289). A handshake is driven by what the client sends, as calls are; no worker waits for it.
//
// Bad input: a record above record_bytes_max, a fragment header that lies, or bytes that are no RPC
// call close the connection with one log line that says what was wrong; everything else is answered
// as RFC 5531 says (PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS, RPC_MISMATCH,
// AUTH_ERROR).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/result.h"
#include "common/tls/tls_context.h"
#include "server/rpc/gate.h"
#include "server/rpc/handshakes.h"
#include "server/rpc/program.h"

namespace tarn::rpc {

struct ServerOptions {
  size_t record_bytes_max = (1 << 20) + 64 * 1024;  // one WRITE of 1 MiB and its compound
  uint32_t connections_max = 25'000;                // further ones are closed at once, and before
                                                    // that those of an address that has three
                                                    // quarters (common/fair_bound.h)
  uint32_t workers_min = 0;                         // 0: max(8, 2 x cores)
  uint32_t workers_max = 256;
  size_t pending_bytes_per_connection_max = 16
                                            << 20;  // requests and replies; above it reading pauses
  // Who takes no reply, sends no more of a record, or has no verdict for so long is dropped.
  std::chrono::seconds send_timeout{30};
  HandshakeLimits handshakes;
};

// What a server lets in.
struct Guard {
  std::shared_ptr<tls::ServerTls> tls;  // null: no TLS
  // Plain calls are answered with AUTH_TOOWEAK, but for the one that asks for TLS.
  bool tls_required = false;
  Gate* gate = nullptr;  // null: all are admitted. It outlives the server.
};

enum class HandshakeFailure : uint8_t {
  kClosed,       // the client went away, or was dropped for another reason
  kDeadline,     // not done in time
  kLimit,        // too many at once: refused, or made room
  kVersion,      // neither TLS 1.3 nor 1.2 (RFC 9289: not 1.3)
  kCertificate,  // the client's breaks its format or bounds, or is not valid now
  kProtocol,     // all else
};
inline constexpr size_t kHandshakeFailures = 6;
std::string_view NameOf(HandshakeFailure failure);  // for metrics

struct ServerCounters {
  uint64_t connections = 0;      // open now
  uint64_t tls_connections = 0;  // of these, with their handshake done
  uint64_t handshakes_open = 0;
  uint64_t handshakes_done = 0;
  std::array<uint64_t, kHandshakeFailures> handshakes_failed{};
  uint64_t turned_away = 0;  // by the gate, or plain ones where TLS is required
  uint64_t accepted = 0, refused = 0, calls = 0, bad_records = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
};

class Server {
 public:
  // `program` must outlive the server.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Program& program,
                                               Guard guard = {});
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
  // Drops each admitted connection that `keep` says no to, which runs on the calling thread. One
  // that is being admitted while this runs on grounds that have changed is dropped, too, or asked
  // for again. Returns how many it dropped.
  using Keep = std::function<bool(const Peer&)>;
  virtual size_t Recheck(const Keep& keep) = 0;
  virtual ServerCounters counters() const = 0;
};

}  // namespace tarn::rpc
