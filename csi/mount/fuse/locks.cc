// Locks: fcntl's byte ranges, and flock as a lock of the whole file by another owner.
//
// NFS 4.0 does not say when a lock gets free, so who waits is asked for again and again, by one
// thread for all: waiting must not use up the threads that would serve the unlock.
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

namespace {

constexpr size_t kWaitingLocksMax = 4096;
constexpr std::chrono::milliseconds kPollMin{1};
constexpr std::chrono::milliseconds kPollMax{100};

uint64_t LengthOf(const struct flock& lock) {
  return lock.l_len == 0 ? UINT64_MAX : static_cast<uint64_t>(lock.l_len);
}

}  // namespace

LockTarget FileSystem::TargetOf(Node& node) {
  std::lock_guard lock(node.mutex);
  return {node.handle, node.directory, node.name};
}

void FileSystem::GetLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info,
                         struct flock* lock) {
  LockConflict conflict;
  Status status = state_->TestLock(CallerOf(request, info), TargetOf(nodes_->At(ino)),
                                   info->lock_owner, lock->l_type == F_WRLCK,
                                   static_cast<uint64_t>(lock->l_start), LengthOf(*lock), conflict);
  if (status != NFS4_OK && status != NFS4ERR_DENIED) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  struct flock answer = *lock;
  answer.l_type = F_UNLCK;
  if (status == NFS4ERR_DENIED) {
    answer.l_type = static_cast<short>(conflict.write ? F_WRLCK : F_RDLCK);
    answer.l_start = static_cast<off_t>(conflict.offset);
    answer.l_len = conflict.length > INT64_MAX ? 0 : static_cast<off_t>(conflict.length);
    answer.l_pid = 0;  // of a process on some machine
  }
  fuse_reply_lock(request, &answer);
}

void FileSystem::SetLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info,
                         struct flock* lock, bool sleep) {
  LockJob job{};
  job.request = request;
  job.node = &nodes_->At(ino);
  job.caller = CallerOf(request, info);
  job.owner = info->lock_owner;
  job.kind = lock->l_type == F_UNLCK   ? LockKind::kUnlock
             : lock->l_type == F_WRLCK ? LockKind::kWrite
                                       : LockKind::kRead;
  job.offset = static_cast<uint64_t>(lock->l_start);
  job.length = LengthOf(*lock);
  StartLock(std::move(job), sleep);
}

void FileSystem::FLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, int op) {
  LockJob job{};
  job.request = request;
  job.node = &nodes_->At(ino);
  job.caller = CallerOf(request, info);
  job.owner = ~info->lock_owner;
  int what = op & ~LOCK_NB;
  job.kind = what == LOCK_UN   ? LockKind::kUnlock
             : what == LOCK_EX ? LockKind::kWrite
                               : LockKind::kRead;
  job.length = UINT64_MAX;
  StartLock(std::move(job), (op & LOCK_NB) == 0);
}

// One try, with what NFS promises about locks: what was written under a lock is at the server
// before it is let go of, and what is read under it is no older than the lock.
Status FileSystem::TryLock(const LockJob& job) {
  Node& node = *job.node;
  if (job.kind == LockKind::kUnlock) {
    write_back_->Flush(BufferOf(node, false), job.caller);
  }
  Status status =
      state_->SetLock(job.caller, TargetOf(node), job.owner, job.kind, job.offset, job.length);
  if (status != NFS4_OK || job.kind == LockKind::kUnlock) return status;
  Attributes attributes;
  if (Refresh(job.caller, node, attributes) == NFS4_OK && session_ != nullptr) {
    uint64_t told = 0;
    {
      std::lock_guard lock(node.mutex);
      told = node.told;
    }
    Told(node, attributes, false);
    if (told != attributes.change) {
      fuse_lowlevel_notify_inval_inode(session_, nodes_->InoOf(node), -1, 0);
    }
  }
  return status;
}

void FileSystem::StartLock(LockJob job, bool sleep) {
  Status status = TryLock(job);
  if (status != NFS4ERR_DENIED || !sleep) {
    fuse_reply_err(job.request, ErrnoOf(status));
    return;
  }
  job.backoff = {kPollMin, kPollMax};
  job.next = std::chrono::steady_clock::now() + kPollMin;
  std::unique_lock lock(locks_mutex_);
  if (stopping_ || waiting_locks_.size() >= kWaitingLocksMax) {
    lock.unlock();
    fuse_reply_err(job.request, ENOLCK);
    return;
  }
  waiting_locks_.push_back(std::move(job));
  if (!lock_thread_.joinable()) lock_thread_ = std::thread([this] { LockLoop(); });
  locks_wake_.notify_all();
}

void FileSystem::LockLoop() {
  std::unique_lock lock(locks_mutex_);
  while (!stopping_) {
    if (waiting_locks_.empty()) {
      locks_wake_.wait(lock);
      continue;
    }
    auto job = waiting_locks_.begin();
    for (auto other = job; other != waiting_locks_.end(); ++other) {
      if (other->next < job->next) job = other;
    }
    if (job->next > std::chrono::steady_clock::now()) {
      locks_wake_.wait_until(lock, job->next);
      continue;
    }
    std::list<LockJob> mine;
    mine.splice(mine.begin(), waiting_locks_, job);
    lock.unlock();
    bool gone = fuse_req_interrupted(mine.front().request) != 0;
    Status status = gone ? kInterrupted : TryLock(mine.front());
    if (status != NFS4ERR_DENIED) fuse_reply_err(mine.front().request, ErrnoOf(status));
    lock.lock();
    if (status != NFS4ERR_DENIED) continue;
    Backoff& backoff = mine.front().backoff;
    mine.front().next = std::chrono::steady_clock::now() + backoff.next;
    backoff.next = std::min(backoff.max, backoff.next * 2);
    waiting_locks_.splice(waiting_locks_.end(), mine);
  }
  for (auto& job : waiting_locks_) fuse_reply_err(job.request, ENOTCONN);
  waiting_locks_.clear();
}

}  // namespace tarn::fuse
