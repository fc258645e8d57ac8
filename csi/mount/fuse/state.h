// State: what an NFS 4.0 server keeps for this client (RFC 7530 section 9): client id and lease,
// the opens that make files, byte-range locks; and bringing it back after the server restarted.
//
// Reads and writes use the anonymous stateid, so they need none of this. Locks are asked for
// without waiting; who wants to wait asks again.
// Threads: any. Recovery excludes every other operation on state.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "csi/mount/fuse/client.h"

namespace tarn::fuse {

enum class LockKind { kRead, kWrite, kUnlock };

// A byte range; `length` UINT64_MAX reaches to the end.
struct LockRange {
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
  bool write = false;
  uint64_t end() const { return length == UINT64_MAX ? UINT64_MAX : offset + length; }
};

// Puts `added` (or, when not `lock`, its absence) over what is held, POSIX's way: pieces are cut
// and neighbours of one kind are joined.
void ApplyLock(std::vector<LockRange>& held, const LockRange& added, bool lock);

// How to open the file that a lock is for.
struct LockTarget {
  FileHandle file;
  FileHandle directory;
  std::string name;
};

class State {
 public:
  State(Client& client, uint32_t lease_seconds);
  ~State();

  struct Created {
    FileHandle handle;
    Attributes attributes;
  };
  // Makes a regular file by OPEN and closes it. kExclusive sets `attributes` once it is made.
  Status Create(const Caller& caller, const FileHandle& directory, std::string_view name,
                CreateHow how, const AttributeChange& attributes, Created& created);

  // NFS4ERR_DENIED: somebody else holds it. `owner`: who locks, a number of the kernel's.
  Status SetLock(const Caller& caller, const LockTarget& target, uint64_t owner, LockKind kind,
                 uint64_t offset, uint64_t length);
  Status TestLock(const Caller& caller, const LockTarget& target, uint64_t owner, bool write,
                  uint64_t offset, uint64_t length, LockConflict& conflict);
  // Lets go of all that the owner holds on the file.
  Status ReleaseLocks(const Caller& caller, const FileHandle& file, uint64_t owner);
  bool any_locks() const { return locked_files_ > 0; }

  // The server may have restarted: look at once, not at the next renewal. Any thread.
  void Suspect();
  void Stop();

 private:
  static constexpr size_t kIdleOwnersMax = 16;

  struct OpenOwner {
    uint64_t number = 0;
    uint32_t seqid = 1;
    uint64_t epoch = 0;
  };
  struct Locker {
    uint64_t number = 0;  // the lock owner's name
    uint32_t seqid = 1;
    bool known = false;  // the server has a stateid for it
    StateId state;
    std::vector<LockRange> held;
  };
  struct LockedFile {
    std::mutex mutex;
    LockTarget target;
    Credential credential;
    OpenOwner owner;
    StateId open;
    uint32_t access = 0;  // OPEN4_SHARE_ACCESS_*; 0: not open
    std::map<uint64_t, Locker> lockers;
  };
  using Shared = std::shared_lock<std::shared_timed_mutex>;

  using Alone = std::unique_lock<std::shared_timed_mutex>;
  // Locks recovery_ through `lock`; kInterrupted when the caller was killed before it got it.
  template <typename Lock>
  Status Enter(const Caller& caller, Lock& lock);
  Status EnsureClient(const Caller& caller);
  // Runs `attempt` while no recovery runs, and again: later when the server says so, and after a
  // recovery when it has lost our client or state. `bad_seqid`: what NFS4ERR_BAD_SEQID means to it.
  enum class BadSeqid { kIsTheAnswer, kTryAgain, kRecover };
  Status UntilAnswered(const Caller& caller, BadSeqid bad_seqid,
                       const std::function<Status()>& attempt);
  Status RegisterClient(const Caller& caller);
  // Brings everything back if nobody has since `epoch`.
  Status Recover(const Caller& caller, uint64_t epoch);
  Status ReclaimFile(const Caller& caller, LockedFile& file);
  Status ReclaimLocks(const Caller& caller, LockedFile& file, bool reclaim);

  std::unique_ptr<OpenOwner> TakeOwner();
  void GiveOwner(std::unique_ptr<OpenOwner> owner);
  Status CreateOnce(const Caller& caller, const FileHandle& directory, OpenRequest& request,
                    const AttributeChange& later, OpenOwner& owner, Created& created);
  Status FinishCreate(const Caller& caller, const StateId& open, const AttributeChange& later,
                      OpenOwner& owner, Created& created);
  Status Confirm(const Caller& caller, const FileHandle& file, OpenOwner& owner, StateId& open);
  Status OpenForLock(const Caller& caller, LockedFile& file, uint32_t access, bool reclaim);
  Status EnsureOpen(const Caller& caller, LockedFile& file, bool write);
  Status LockOnce(const Caller& caller, LockedFile& file, Locker& locker, const LockRange& range,
                  bool reclaim);
  Status UnlockOnce(const Caller& caller, LockedFile& file, Locker& locker, const LockRange& range);
  Status SetLockOnce(const Caller& caller, LockedFile& file, uint64_t owner, LockKind kind,
                     const LockRange& range);
  void CloseLocked(const Caller& caller, LockedFile& file);
  std::shared_ptr<LockedFile> FindFile(const LockTarget& target, bool make);
  void ForgetIfIdle(const std::shared_ptr<LockedFile>& file);
  Owner NameOf(uint64_t number) const { return {client_id_, number}; }
  void RenewLoop();

  Client& client_;
  const uint32_t lease_seconds_;
  const std::string name_;  // of this client, unique among all
  Verifier boot_;

  // Shared: an operation on state. Alone: recovery.
  std::shared_timed_mutex recovery_;
  uint64_t client_id_ = 0;
  bool registered_ = false;
  std::atomic<uint64_t> epoch_{1};  // of client ids

  std::mutex mutex_;
  std::vector<std::unique_ptr<OpenOwner>> idle_owners_;
  std::unordered_map<FileHandle, std::shared_ptr<LockedFile>> files_;
  std::atomic<size_t> locked_files_{0};
  std::atomic<uint64_t> next_number_{1};

  std::mutex renew_mutex_;
  std::condition_variable renew_wake_;
  bool suspect_ = false;
  bool stopping_ = false;
  std::thread renewer_;
};

template <typename Lock>
Status State::Enter(const Caller& caller, Lock& lock) {
  constexpr std::chrono::milliseconds kSlice{200};
  lock = Lock(recovery_, std::defer_lock);
  while (!lock.try_lock_for(kSlice)) {
    if (caller.Killed()) return kInterrupted;
  }
  return NFS4_OK;
}

}  // namespace tarn::fuse
