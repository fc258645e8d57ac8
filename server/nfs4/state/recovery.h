// What the server remembers over a restart (RFC 8881 section 8.4, RFC 7530 section 9.6): its boot
// epoch, the key of its file handles, its identity, and which clients held state.
//
// After a start with recorded clients there is a grace period, in which only they may open and
// lock, to reclaim what they had. It ends when each of them has said RECLAIM_COMPLETE, and in any
// case after one lease, or two if somebody reclaims until then. A client is recorded while it holds
// state, so that an idle one keeps nobody waiting.
//
// Sessions survive too (RFC 8881 section 2.10.6.5), though this is not promised to the client by
// CREATE_SESSION4_FLAG_PERSIST: after a restart it finds its session, so what it sends again lands
// in the slot that it was sent in, and vfs::ReplayTag makes a change that was made already not be
// made twice. The replies themselves are not kept; the rest of a compound is done again.
//
// Records: "nfs/epoch", "nfs/handle-key", "nfs/server-id", "nfs/client/KEY", "nfs/session/ID".
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "server/nfs4/handle.h"
#include "server/nfs4/state/client.h"
#include "server/vfs/file_system.h"

namespace tarn::nfs4 {

// A 4.1 session of the last run, with what makes its client.
struct SessionRecord {
  sessionid4 id{};
  clientid4 client = 0;
  std::string client_key;
  verifier4 verifier{};
  Principal principal;
  uint32_t next_create_session = 1;
  channel_attrs4 fore;
  BackChannelTerms back;
};

// What a client's record says that it may have held, besides opens that exclude nobody. It is never
// taken back while the record stays.
inline constexpr uint32_t kHeldDeny = 1;
inline constexpr uint32_t kHeldLocks = 2;
inline constexpr uint32_t kHeldDelegations = 4;

class Recovery {
 public:
  // The lease is over, but a client that reclaimed something so short a time ago is not done yet:
  // grace goes on, to twice its length at most.
  static constexpr std::chrono::seconds kBetweenReclaims{2};

  // Counts the epoch up; makes what is not there yet. Fails only as the store does.
  static Result<std::unique_ptr<Recovery>> Start(vfs::RecordStore& records, const Clock& clock,
                                                 std::chrono::seconds lease);

  uint32_t epoch() const { return epoch_; }
  const HandleKey& handle_key() const { return handle_key_; }
  const std::string& server_id() const { return server_id_; }

  bool InGrace() const { return grace_.load(std::memory_order_acquire); }
  // Did the client hold state when the last run ended, and may it still reclaim?
  bool MayReclaim(const std::string& client_key);
  // Somebody reclaims something now.
  void Reclaims() { reclaimed_.store(clock_.Monotonic(), std::memory_order_relaxed); }
  // 4.0: it has reclaimed something, so its record stays when grace ends.
  void Returned(const std::string& client_key);
  // 4.1: it has reclaimed all it wants.
  void ReclaimComplete(const std::string& client_key);
  // Ends grace if it is over; true once, when it has just ended, or at the first call of a run that
  // had none: the last run may have died between its end of grace and what follows it.
  bool EndGraceIfDue();

  // May somebody have held any of these before the restart? What conflicts with none does no harm
  // in grace.
  bool MayBeHeld(uint32_t facts);

  // On stable storage when it returns ok. Does nothing if that is recorded already.
  Result<void> Record(Client& client, uint32_t facts);
  void Forget(Client& client);
  // Sessions: kept when made, forgotten with all that vfs::ReplayTag remembers of them.
  Result<void> KeepSession(const SessionRecord& session);
  void ForgetSession(const sessionid4& id);
  // Those of the last run; once, at the start.
  std::vector<SessionRecord> TakeSessions() { return std::move(sessions_); }
  // What drops an engine's replay records of a slot prefix. Set before the first call is served.
  void OnForgetSession(std::function<void(std::string_view prefix)> forget) {
    forget_replays_ = std::move(forget);
  }

  // Forgets a client that has held nothing since `before`.
  void ForgetIfIdle(Client& client, std::chrono::nanoseconds before);

 private:
  Recovery(vfs::RecordStore& records, const Clock& clock) : records_(records), clock_(clock) {}
  Result<void> Load(std::chrono::seconds lease);
  Result<void> LoadSessions();
  bool GraceTimeIsOver() const;
  void Delete(const std::string& client_key);
  bool WasDropped(const std::string& client_key);

  vfs::RecordStore& records_;
  const Clock& clock_;
  std::vector<SessionRecord> sessions_;
  std::function<void(std::string_view)> forget_replays_;
  uint32_t epoch_ = 0;
  HandleKey handle_key_{};
  std::string server_id_;
  std::chrono::nanoseconds grace_ends_{};
  std::chrono::nanoseconds grace_ends_at_last_{};
  std::atomic<std::chrono::nanoseconds> reclaimed_{};  // when somebody did last
  std::atomic<bool> grace_{false};
  std::atomic<bool> end_told_{false};  // by EndGraceIfDue

  std::mutex mutex_;
  std::set<std::string> dropped_;  // at the end of grace; at most the clients of the last run
  struct Before {
    uint32_t facts = 0;
    bool returned = false;
    bool complete = false;
  };
  std::map<std::string, Before> before_;  // clients of the last run, while grace lasts
};

}  // namespace tarn::nfs4
