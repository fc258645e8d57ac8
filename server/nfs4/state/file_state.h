// Opens, locks and delegations of files: share reservations (RFC 7530 section 9.9), byte ranges,
// and who else may not touch a file without a recall (RFC 8881 section 10.4; delegations.h
// recalls).
//
// A file's state is guarded by the mutex of the stripe that it falls into. Functions that take a
// State lock that themselves. Nothing here calls the engine, except that a Pin that is dropped
// does; pins are always moved out and dropped after the lock.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/nfs4/state/client.h"
#include "server/nfs4/state/ranges.h"
#include "server/nfs4/state/stateid.h"

namespace tarn::nfs4 {

struct FileKey {
  uint32_t file_system = 0;
  vfs::FileId file;
  bool operator==(const FileKey&) const = default;
};

inline FileKey KeyOf(const CurrentFile& file) {
  return {file.exported->file_system, file.id};
}

// Owns one Pin of the engine.
class Pin {
 public:
  Pin() = default;
  Pin(vfs::FileSystem* engine, vfs::FileId file) : engine_(engine), file_(file) {}
  Pin(Pin&& other) noexcept : engine_(std::exchange(other.engine_, nullptr)), file_(other.file_) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~Pin() {
    if (engine_ != nullptr) engine_->Unpin(file_);
  }
  // The file stays pinned, as by a server that was killed.
  void Leave() { engine_ = nullptr; }

 private:
  vfs::FileSystem* engine_ = nullptr;
  vfs::FileId file_;
};

struct FileState;

struct State {
  enum class Kind { kOpen, kLock, kDelegation };
  State(Kind of, std::shared_ptr<Client> whose)
      : kind(of), client(std::move(whose)), holding(client->account) {}
  virtual ~State() = default;
  const Kind kind;
  const std::shared_ptr<Client> client;
  Holding holding;
  uint32_t id = 0;
  std::shared_ptr<FileState> file;
  // Guarded by file->mutex:
  uint32_t seqid = 1;
  bool closed = false;
  stateid4 stateid() const { return MakeStateid({client->id, id}, seqid); }
  void Bump() { seqid = seqid == UINT32_MAX ? 1 : seqid + 1; }
  // The server stops and its client will come back: lets go of the file, which stays pinned.
  virtual void Leave() { file.reset(); }
};

struct OpenModes {
  uint32_t access = 0;  // OPEN4_SHARE_ACCESS_*
  uint32_t deny = 0;
  // The modes of the single OPENs that made it up, as sets of 1 << mode: OPEN_DOWNGRADE goes back
  // to one of them (RFC 8881 section 18.18.3).
  uint32_t accesses = 0;
  uint32_t denies = 0;
  void Widen(uint32_t with_access, uint32_t with_deny) {
    access |= with_access;
    deny |= with_deny;
    accesses |= 1U << access | 1U << with_access;
    denies |= 1U << deny | 1U << with_deny;
  }
  bool Narrow(uint32_t to_access, uint32_t to_deny);  // false: it was never opened so
};

struct OpenState : State, OpenModes {
  explicit OpenState(std::shared_ptr<Client> whose) : State(Kind::kOpen, std::move(whose)) {}
  std::shared_ptr<OpenOwner> owner;
  // Whom the last OPEN was for, and what that user's OPENs asked for: only that I/O goes by the
  // open instead of the mode bits. The rest of `access` is of other users' OPENs.
  uint32_t uid = 0;
  uint32_t uid_access = 0;
  void OpenedBy(uint32_t user, uint32_t for_access) {
    uid_access = uid == user ? uid_access | for_access : for_access;
    uid = user;
  }
  void Leave() override {
    pin.Leave();
    State::Leave();
  }
  Pin pin;
};

struct LockState : State {
  explicit LockState(std::shared_ptr<Client> whose) : State(Kind::kLock, std::move(whose)) {}
  std::shared_ptr<LockOwner> owner;
  std::shared_ptr<OpenState> open;
};

struct DelegationState : State {
  DelegationState(std::shared_ptr<Client> whose, bool for_write)
      : State(Kind::kDelegation, std::move(whose)), write(for_write) {}
  const bool write;
  std::vector<std::byte> handle;            // as the client knows the file
  std::optional<ReferringCall> granted_by;  // 4.1
  std::string granted_to;                   // 4.0: the client's address
  // For writing: the file's change attribute when it was given; 0: not known yet.
  std::atomic<uint64_t> change{0};
  // The size that the holder told last, and the change attribute that stands for that.
  struct Told {
    uint64_t change = 0;
    uint64_t size = 0;
  };
  void Leave() override {
    pin.Leave();
    State::Leave();
  }
  Pin pin;
  // Guarded by file->mutex:
  Told told;
  bool recalled = false;
  bool revoked = false;  // and the client has yet to free it (4.1)
  std::chrono::nanoseconds recalled_at{};
};
using DelegationPtr = std::shared_ptr<DelegationState>;

struct FileState {
  FileState(const FileKey& of, std::mutex& stripe) : key(of), mutex(stripe) {}
  const FileKey key;
  std::mutex& mutex;
  std::vector<std::shared_ptr<OpenState>> opens;
  std::vector<std::shared_ptr<LockState>> locks;
  std::vector<DelegationPtr> delegations;
  RangeList ranges;
  uint32_t changes = 0;  // that run now, by those who cannot hold a delegation: none is given
  bool empty() const {
    return opens.empty() && locks.empty() && delegations.empty() && changes == 0;
  }
};

struct Opened {
  nfsstat4 status = NFS4_OK;
  std::shared_ptr<OpenState> state;
  stateid4 stateid;
  struct Before {
    uint32_t seqid = 0;
    OpenModes modes;
  };
  std::optional<Before> before;       // what the owner had open already
  std::shared_ptr<Client> blocker;    // whose open denies it (NFS4ERR_SHARE_DENIED)
  std::vector<DelegationPtr> recall;  // what is in the way (NFS4ERR_DELAY)
};

struct Granted {
  DelegationPtr state;  // null: none is given, and why
  stateid4 stateid;
  why_no_delegation4 why = WND4_CONTENTION;
};

struct Locked {
  nfsstat4 status = NFS4_OK;
  stateid4 stateid;
  LOCK4denied denied;  // its owner's bytes are in denied_owner
  std::string denied_owner;
  std::shared_ptr<Client> blocker;  // who holds the lock (NFS4ERR_DENIED)
};

class FileTable {
 public:
  // Open files of one client and byte ranges of one file, as EFS has them ("Quotas"). Both are
  // NFS4ERR_DQUOT, which Linux shows as the EDQUOT that EFS documents for them.
  static constexpr size_t kOpensPerClientMax = 32'768;
  // Delegations; beyond these no more are given.
  static constexpr size_t kDelegationsMax = 1 << 18;
  static constexpr size_t kDelegationsPerClientMax = 1 << 14;
  // A file whose delegation was recalled gets no new one for so long.
  static constexpr std::chrono::seconds kContended{10};

  // Opens, or widens what the owner has open already; then `pin` is left to the caller. `changes`:
  // the open cuts the file, whatever its access.
  Opened Open(const std::shared_ptr<Client>& client, const std::shared_ptr<OpenOwner>& owner,
              const FileKey& key, uint32_t access, uint32_t deny, bool changes, Pin& pin);
  // The OPEN fails after all: closes what it opened, or narrows what it widened, unless another
  // OPEN of the owner has gone on from there meanwhile.
  void TakeBack(const Opened& opened, std::chrono::nanoseconds now);
  // Closes an open or frees a lock state, with all locks that hang on it.
  void Close(const std::shared_ptr<State>& state, std::chrono::nanoseconds now);
  // The same if `may` says so; it is asked with the file's lock held, so nothing comes in between.
  // `keep`: the client still finds it by its id.
  nfsstat4 CloseIf(const std::function<nfsstat4()>& may, const std::shared_ptr<State>& state,
                   std::chrono::nanoseconds now, bool keep = false);
  // With the file's lock held, as by `may` above.
  static bool HoldsRanges(const LockState& state) {
    return state.file->ranges.Holds(state.owner.get());
  }

  // --- delegations (file_delegations.cc) ---
  // All there are, and those for writing; nothing is asked while there are none.
  size_t delegations() const { return delegations_.load(std::memory_order_relaxed); }
  size_t write_delegations() const { return write_delegations_.load(std::memory_order_relaxed); }
  // Gives `state` to its client, who has the file open. `reclaim`: it had it before the restart.
  Granted Grant(const DelegationPtr& state, const FileKey& key, std::chrono::nanoseconds now,
                bool reclaim);
  // What others than `by` (null: nobody known) hold and a change or a read of the file conflicts
  // with.
  std::vector<DelegationPtr> InTheWay(const FileKey& key, const Client* by, bool change);
  // Between these nothing is given; the first returns what is given already.
  std::vector<DelegationPtr> BeginChange(const FileKey& key, const Client* by);
  void EndChange(const FileKey& key);
  // True if this call was the first to recall it.
  bool MarkRecalled(DelegationState& state, std::chrono::nanoseconds now);
  // The client did not give it back in time. In 4.1 it stays known until FREE_STATEID.
  void Revoke(const DelegationPtr& state, std::chrono::nanoseconds now);
  // Would the open mode of another one be in the way of I/O that has none (special stateids)?
  bool Denied(const FileKey& key, bool read, bool write);

  // `range.owner` says who. The range has been checked.
  Locked Lock(const std::shared_ptr<OpenState>& open, const std::shared_ptr<LockOwner>& owner,
              const Range& range);
  Locked Lock(const std::shared_ptr<LockState>& state, const Range& range);
  Locked Test(const FileKey& key, const Range& range);
  Locked Unlock(const std::shared_ptr<LockState>& state, uint64_t first, uint64_t last);

 private:
  static constexpr size_t kStripes = 64;
  struct KeyHash {
    size_t operator()(const FileKey& key) const {
      uint64_t mixed =
          (key.file.inode * 0x9e3779b97f4a7c15) ^ (key.file.generation << 32) ^ key.file_system;
      return mixed ^ (mixed >> 29);
    }
  };
  static constexpr size_t kContendedFilesMax = 1024;  // of one stripe
  struct Stripe {
    std::mutex mutex;
    std::unordered_map<FileKey, std::shared_ptr<FileState>, KeyHash> files;
    std::unordered_map<FileKey, std::chrono::nanoseconds, KeyHash> contended;  // since when
  };
  Stripe& StripeOf(const FileKey& key) { return stripes_[KeyHash()(key) % kStripes]; }
  // With the stripe's lock held:
  // A revoked delegation's file may have gone and come again meanwhile.
  static void EraseIfEmpty(Stripe& stripe, const FileState& file);
  Locked SetRange(LockState& state, const Range& range);
  static bool ChangeRanges(LockState& state, bool unlock, const std::function<bool()>& change);
  struct Gone {
    std::vector<std::shared_ptr<State>> states;
    Pin pin;
  };
  void CloseLocked(Stripe& stripe, const std::shared_ptr<State>& state, Gone& gone);
  void Detach(const std::shared_ptr<State>& state, std::vector<std::shared_ptr<State>>& gone);
  void DetachDelegation(DelegationState& state);
  void NoteContended(Stripe& stripe, const FileKey& key, std::chrono::nanoseconds now);
  static why_no_delegation4 WhyNot(const FileState& file, const DelegationState& wanted);

  std::atomic<size_t> delegations_{0};
  std::atomic<size_t> write_delegations_{0};
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace tarn::nfs4
