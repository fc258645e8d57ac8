// What the server remembers over a restart (RFC 8881 section 8.4, RFC 7530 section 9.6): its boot
// epoch, the key of its file handles, its identity, and which clients held state.
//
// After a start with recorded clients there is a grace period, in which only they may open and
// lock, to reclaim what they had. It ends when each of them has said RECLAIM_COMPLETE, and in any
// case after one lease. A client is recorded while it holds state, so that an idle one keeps nobody
// waiting.
//
// Records: "nfs/epoch", "nfs/handle-key", "nfs/server-id", "nfs/client/KEY". Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/clock.h"
#include "server/nfs4/handle.h"
#include "server/nfs4/state/client.h"
#include "server/vfs/file_system.h"

namespace tarn::nfs4 {

class Recovery {
 public:
  // Counts the epoch up; makes what is not there yet. Fails only as the store does.
  static Result<std::unique_ptr<Recovery>> Start(vfs::RecordStore& records, const Clock& clock,
                                                 std::chrono::seconds lease);

  uint32_t epoch() const { return epoch_; }
  const HandleKey& handle_key() const { return handle_key_; }
  const std::string& server_id() const { return server_id_; }

  bool InGrace() const { return grace_.load(std::memory_order_acquire); }
  // Did the client hold state when the last run ended, and may it still reclaim?
  bool MayReclaim(const std::string& client_key);
  // 4.0: it has reclaimed something, so its record stays when grace ends.
  void Returned(const std::string& client_key);
  // 4.1: it has reclaimed all it wants.
  void ReclaimComplete(const std::string& client_key);
  // Ends grace if it is over; true once, when it has just ended.
  bool EndGraceIfDue();

  // On stable storage when it returns ok. Does nothing if it is recorded already.
  Result<void> Record(Client& client);
  void Forget(Client& client);
  // Forgets a client that has held nothing since `before`.
  void ForgetIfIdle(Client& client, std::chrono::nanoseconds before);

 private:
  Recovery(vfs::RecordStore& records, const Clock& clock) : records_(records), clock_(clock) {}
  Result<void> Load(std::chrono::seconds lease);
  void Delete(const std::string& client_key);

  vfs::RecordStore& records_;
  const Clock& clock_;
  uint32_t epoch_ = 0;
  HandleKey handle_key_{};
  std::string server_id_;
  std::chrono::nanoseconds grace_ends_{};
  std::atomic<bool> grace_{false};

  std::mutex mutex_;
  struct Before {
    bool returned = false;
    bool complete = false;
  };
  std::map<std::string, Before> before_;  // clients of the last run, while grace lasts
};

}  // namespace tarn::nfs4
