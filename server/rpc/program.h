// What an ONC RPC program (RFC 5531) is to the server that carries it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/rpc.h"
#include "common/ip_address.h"
#include "server/rpc/peer_identity.h"
#include "server/xdr/codec.h"

namespace tarn::rpc {

using ConnectionId = uint64_t;  // never reused while the process lives

struct Security;  // security.h

// What a Gate (gate.h) found out about a connection; the server carries it.
class Admission {
 public:
  explicit Admission(const PeerIdentity& who = {}, std::string counted_for = {})
      : identity(who), tenant(std::move(counted_for)) {}
  virtual ~Admission() = default;
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  const PeerIdentity identity;
  const std::string tenant;  // as in Peer::tenant; empty: its host
};

// Who sent a call, as far as the transport knows. Calls of one connection all see the same.
struct Peer {
  ConnectionId connection = 0;
  std::string address;  // numeric, without the port
  uint16_t port = 0;
  uint64_t listener = 0;  // the `tag` that the listener was opened with: which mount target this is
  std::shared_ptr<const Security> security = nullptr;    // null: the connection is not encrypted
  std::shared_ptr<const Admission> admission = nullptr;  // null: there is no gate, or it gave none

  const PeerIdentity& identity() const {
    return admission ? admission->identity : PeerIdentity::Nobody();
  }
  // For whom is counted what it holds of what all share (common/fair_bound.h).
  std::string tenant() const {
    return admission && !admission->tenant.empty() ? admission->tenant : HostOf(address);
  }
};

// AUTH_NONE has the overflow identity 65534 and no groups.
struct Credential {
  auth_flavor flavor = AUTH_NONE;
  uint32_t uid = 65534;
  uint32_t gid = 65534;
  std::vector<uint32_t> gids;
};

// Hears from a running call.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void AboutToWait() = 0;
};

class CallChannel;
class Dialer;

// Where a call came from, for calls the other way (call_channel.h). Valid while the call runs.
class Origin {
 public:
  virtual ~Origin() = default;
  // Of the connection that the call came by; always the same one.
  virtual std::shared_ptr<CallChannel> Channel() = 0;
  virtual std::shared_ptr<Dialer> dialer() const = 0;
};

struct Call {
  uint32_t xid = 0;
  uint32_t version = 0;
  uint32_t procedure = 0;
  const Credential& credential;
  const Peer& peer;
  CallObserver* observer = nullptr;
  Origin* origin = nullptr;  // null: nothing can be called back

  // The call may soon wait for a disk, or compute for long: another worker takes the connection's
  // next record. Any number of times. See Program::TellsWaits.
  void AboutToWait() const {
    if (observer != nullptr) observer->AboutToWait();
  }
};

// One program of one number. Thread-safe: calls of one connection run at the same time too.
class Program {
 public:
  virtual ~Program() = default;
  virtual uint32_t number() const = 0;
  virtual version_range versions() const = 0;
  // Runs the procedure on a worker and appends its results. The argument bytes live until the reply
  // is sent. Returns SUCCESS, PROC_UNAVAIL, GARBAGE_ARGS or SYSTEM_ERR; for all but SUCCESS the
  // results are dropped. May wait for a disk; for a client only for a moment, and few at a time.
  virtual accept_stat Handle(const Call& call, xdr::Decoder& arguments, xdr::Encoder& results) = 0;
  // True for a program whose calls say when they wait (Call::AboutToWait). Then quick calls that a
  // client sends in a row are run in a row by one worker, without waking others.
  virtual bool TellsWaits() const { return false; }
  // The connection is gone; no call of it is running or will come.
  virtual void ConnectionClosed(ConnectionId) {}
};

}  // namespace tarn::rpc
