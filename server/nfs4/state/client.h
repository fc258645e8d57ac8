// One client of the NFS server: who it is, its lease, and the state it holds.
//
// Locks, in the order in which they may be taken (a later one while an earlier one is held):
//   1. Sequence::mutex of an open owner, then of a lock owner (4.0 only; held for a whole
//   operation,
//      since RFC 7530 section 9.1.7 makes the operations of an owner follow one another)
//   2. a file stripe's mutex (file_state.h)
//   3. ClientTable's mutex
//   4. Client::mutex
//   5. Callbacks' mutex, then those of rpc; Account's and Tenants' mutex (tenants.h)
// A Session slot's mutex, Client::record_mutex, and ReplayCache's mutex are taken alone. Only 1.
// and record_mutex are held across calls of the engine.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/nfs4.h"
#include "api/rpc.h"
#include "server/nfs4/exports.h"
#include "server/nfs4/state/callback.h"
#include "server/nfs4/state/client_key.h"
#include "server/nfs4/state/tenants.h"

namespace tarn::nfs4 {

class Client;
class LockOwner;
class OpenOwner;
class Session;
struct State;

// Who sent the call that made a client; another one may not change it.
struct Principal {
  rpc::auth_flavor flavor = rpc::AUTH_NONE;
  uint32_t uid = 0;
  bool operator==(const Principal&) const = default;
};

// The file that an operation of a compound works on.
struct CurrentFile {
  std::shared_ptr<const Export> exported;
  vfs::FileId id;
  explicit operator bool() const { return exported != nullptr; }
};

// Sequencing of an owner's operations in 4.0 (RFC 7530 section 9.1.7), with the last reply, so that
// a retransmission gets the same answer.
struct Sequence {
  std::mutex mutex;
  bool started = false;
  uint32_t last = 0;
  nfsstat4 status = NFS4_OK;
  bool has_body = false;
  std::vector<std::byte> reply;  // after the status
  // What OPEN made the current file. Weak: an owner does not keep a deleted access point's export.
  std::weak_ptr<const Export> opened_export;
  vfs::FileId opened;
  std::chrono::nanoseconds used{};
};

class OpenOwner {
 public:
  OpenOwner(Client& of, std::string bytes);
  Client& client;
  const std::string name;
  Sequence sequence;
  std::atomic<bool> confirmed{false};  // by OPEN_CONFIRM; 4.1 has no such thing
  // Guarded by sequence.mutex, 4.0 only: the state that was closed last stays among the client's
  // until the next CLOSE, so that a retransmission finds its owner. Weak, for the state holds us.
  std::weak_ptr<State> last_closed;
  Holding holding;
};

class LockOwner {
 public:
  LockOwner(Client& of, std::string bytes);
  Client& client;
  const std::string name;
  Sequence sequence;
  Holding holding;
};

class Client {
 public:
  // Beyond these the client gets NFS4ERR_DQUOT: it holds more than any real one does.
  static constexpr size_t kStatesMax = 1 << 19;
  static constexpr size_t kSessionsMax = 16;

  Client(clientid4 client_id, bool with_sessions, std::string owner_key, Principal who,
         const Clock& clock, TenantPtr tenant, bool returns = false);

  const clientid4 id;
  const bool sessions_used;  // made by EXCHANGE_ID (4.1), not SETCLIENTID (4.0)
  const std::string key;     // a ClientKey's text
  const uint32_t minor;      // of the key
  // Of the key. What it has is only for connections of this one: others are told that there is no
  // such client, session or state.
  const rpc::PeerIdentity identity;
  const Principal principal;
  Account account;  // before what holds of it
  const std::shared_ptr<Callbacks> callbacks;
  verifier4 verifier{};
  verifier4 confirm_verifier{};                     // 4.0, guarded by ClientTable's mutex
  std::optional<verifier4> pending_confirm;         // 4.0 callback update, the same
  CallbackAddress callback_address;                 // 4.0, of the last SETCLIENTID, the same
  bool confirmed = false;                           // guarded by ClientTable's mutex
  std::vector<std::shared_ptr<Session>> sessions;   // guarded by ClientTable's mutex
  std::vector<sessionid4> ended_sessions;           // whose records are still there, the same
  std::atomic<std::chrono::nanoseconds> renewed{};  // monotonic
  std::atomic<bool> dead{false};
  std::atomic<bool> reclaim_complete{false};
  // Delegations that it holds, and those that were revoked and not freed yet
  // (SEQ4_STATUS_RECALLABLE_STATE_REVOKED).
  std::atomic<size_t> delegations{0};
  std::atomic<size_t> revoked{0};
  std::atomic<bool> may_reclaim{false};  // its record is from before the restart
  // It and its sessions are of the last run: it must be told to reclaim (RFC 8881 section 18.46.3,
  // SEQ4_STATUS_RESTART_RECLAIM_NEEDED), until it does. A client that reads that after it has said
  // RECLAIM_COMPLETE, in a reply that was under way, begins again, is refused, and gives up its
  // locks: so it is not told until then, as the RFC has it, but until it has begun.
  bool restored = false;
  std::atomic<bool> reclaims{false};
  bool MustBeToldOfRestart() const { return restored && !reclaims && !reclaim_complete; }
  // Whose a restored client is, its record does not say; its first request does.
  std::atomic<bool> tenant_known{true};

  // CREATE_SESSION's own slot (RFC 8881 section 18.36.4).
  std::mutex create_session_mutex;
  std::atomic<uint32_t> create_session_sequence{1};  // the one that comes next
  std::vector<std::byte> create_session_reply;
  nfsstat4 create_session_status = NFS4ERR_SEQ_MISORDERED;

  // Is a durable record of this client there? Held while it is written or deleted.
  std::mutex record_mutex;
  bool recorded = false;
  uint32_t recorded_facts = 0;  // and what it says (recovery.h)

  std::mutex mutex;  // guards what follows
  std::unordered_map<uint32_t, std::shared_ptr<State>> states;
  std::map<std::string, std::shared_ptr<OpenOwner>, std::less<>> open_owners;
  std::map<std::string, std::shared_ptr<LockOwner>, std::less<>> lock_owners;
  size_t opens = 0;                       // of the states
  uint32_t next_state = 0;                // begins with the epoch, see stateid.h
  std::chrono::nanoseconds idle_since{};  // when the last state went

  uint32_t number() const { return static_cast<uint32_t>(id); }
  // Gives the state an id and keeps it. False: the client is dead, or has all that it may have.
  bool Add(const std::shared_ptr<State>& state);
  std::shared_ptr<State> Find(uint32_t state_id);
  void Remove(uint32_t state_id, std::chrono::nanoseconds now);
  bool HasStates();
  // Null, here and below: it has all that it may have.
  std::shared_ptr<OpenOwner> OpenOwnerOf(std::string_view name);
  std::shared_ptr<LockOwner> LockOwnerOf(std::string_view name, bool make);
};

}  // namespace tarn::nfs4
