// Recalls delegations that are in somebody's way (RFC 7530 section 10.4, RFC 8881 section 10.4),
// and revokes those that do not come back within a lease. Whoever meets one gets NFS4ERR_DELAY and
// comes again; only Ask waits, for a moment.
//
// A client whose lease ran out loses all it has at once: it could not be recalled from (courtesy
// ends where somebody needs what it holds). Threads: any; no lock of files or clients is held by
// the caller.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "server/nfs4/state/client_table.h"
#include "server/nfs4/state/file_state.h"

namespace tarn::nfs4 {

class Delegations {
 public:
  // A recall that was not taken is sent again after so long.
  static constexpr std::chrono::seconds kAgain{2};
  // How long a worker waits for an answer to CB_GETATTR, and how many may do so at a time.
  static constexpr std::chrono::milliseconds kAskFor{100};
  static constexpr int kAskingMax = 16;

  Delegations(FileTable& files, ClientTable& clients, const Clock& clock,
              std::chrono::seconds lease)
      : files_(files), clients_(clients), clock_(clock), lease_(lease) {}

  // NFS4_OK: none of them is held any more. NFS4ERR_DELAY: they are being recalled.
  nfsstat4 Recall(const std::vector<DelegationPtr>& held);
  // The same of all that conflict with what `by` (null: nobody known) is about to do.
  nfsstat4 Clear(const FileKey& key, const Client* by, bool change);
  // What the holder of a write delegation says of its file (CB_GETATTR, RFC 8881 section 20.1).
  struct HolderAttributes {
    uint64_t change = 0;
    uint64_t size = 0;
  };
  // Waits for the answer, kAskFor at most. Nothing: it did not come, or nobody could be asked.
  std::optional<HolderAttributes> Ask(const DelegationState& state);
  // Sends recalls again, revokes what is overdue. About once a second.
  void Tick();

  // A change of a file, by an operation that has no open of it: clears the way, and keeps it clear
  // while the object lives.
  class Change {
   public:
    Change(Delegations& delegations, const FileKey& key, const Client* by);
    Change(Change&& other) noexcept
        : status(other.status), files_(std::exchange(other.files_, nullptr)), key_(other.key_) {}
    Change& operator=(Change&&) = delete;
    ~Change() {
      if (files_ != nullptr) files_->EndChange(key_);
    }
    nfsstat4 status = NFS4_OK;

   private:
    FileTable* files_ = nullptr;
    FileKey key_;
  };

 private:
  struct Recalled {
    DelegationPtr state;
    std::chrono::nanoseconds sent{};
    bool refused = false;
  };
  void Send(const DelegationPtr& state);
  bool Overdue(const DelegationState& state) const;

  FileTable& files_;
  ClientTable& clients_;
  const Clock& clock_;
  const std::chrono::seconds lease_;
  std::atomic<int> asking_{0};
  // Shared with answers that come when this is gone already. Taken alone.
  struct Recalls {
    std::mutex mutex;
    std::unordered_map<const DelegationState*, Recalled> by_state;
  };
  const std::shared_ptr<Recalls> recalls_ = std::make_shared<Recalls>();
};

}  // namespace tarn::nfs4
