// Byte-range locks (RFC 7530 sections 9.1 to 9.5, 16.10 to 16.12).
#include <algorithm>

#include "csi/mount/fuse/state.h"
#include "csi/mount/fuse/state_seqid.h"

namespace tarn::fuse {

void ApplyLock(std::vector<LockRange>& held, const LockRange& added, bool lock) {
  std::vector<LockRange> next;
  auto put = [&next](uint64_t from, uint64_t to, bool write) {
    if (from < to) next.push_back({from, to == UINT64_MAX ? UINT64_MAX : to - from, write});
  };
  for (const LockRange& old : held) {
    if (old.end() <= added.offset || added.end() <= old.offset) {
      next.push_back(old);
      continue;
    }
    put(old.offset, added.offset, old.write);
    put(added.end(), old.end(), old.write);
  }
  if (lock) next.push_back(added);
  std::sort(next.begin(), next.end(),
            [](const LockRange& a, const LockRange& b) { return a.offset < b.offset; });
  held.clear();
  for (const LockRange& range : next) {
    if (!held.empty() && held.back().write == range.write && held.back().end() == range.offset) {
      held.back().length =
          range.end() == UINT64_MAX ? UINT64_MAX : range.end() - held.back().offset;
    } else {
      held.push_back(range);
    }
  }
}

std::shared_ptr<State::LockedFile> State::FindFile(const LockTarget& target, bool make) {
  std::lock_guard lock(mutex_);
  auto found = files_.find(target.file);
  if (found != files_.end()) return found->second;
  if (!make) return nullptr;
  auto file = std::make_shared<LockedFile>();
  file->target = target;
  files_[target.file] = file;
  ++locked_files_;
  return file;
}

// Precondition: recovery_ is held (shared), the file's mutex is not.
void State::ForgetIfIdle(const std::shared_ptr<LockedFile>& file) {
  std::lock_guard lock(mutex_);
  std::unique_lock of_file(file->mutex, std::try_to_lock);
  if (!of_file || !file->lockers.empty() || file->access != 0) return;
  // Two references: the table's and the caller's. A third is an operation about to begin.
  if (file.use_count() > 2) return;
  if (files_.erase(file->target.file) > 0) --locked_files_;
}

Status State::OpenForLock(const Caller& caller, LockedFile& file, uint32_t access, bool reclaim) {
  OpenRequest request;
  request.seqid = file.owner.seqid;
  request.access = access;
  request.owner = NameOf(file.owner.number);
  request.reclaim = reclaim;
  request.name = file.target.name;
  Results results = client_.Once(
      caller,
      Compound().PutFh(reclaim ? file.target.file : file.target.directory).Open(request).GetFh());
  results.Op(OP_PUTFH);
  Results::Opened opened = results.Open();
  Status status = results.status();
  FileHandle handle = results.GetFh();
  MoveSeqid(file.owner.seqid, results, OP_OPEN, status);
  if (status != NFS4_OK) return status;
  file.open = opened.state;
  file.access |= access;
  if (opened.confirm) status = Confirm(caller, handle, file.owner, file.open);
  if (status == NFS4_OK && handle != file.target.file) {
    // Another file has taken the name: there is no other way to open ours in 4.0.
    std::swap(handle, file.target.file);
    CloseLocked(caller, file);
    std::swap(handle, file.target.file);
    return NFS4ERR_LOCK_NOTSUPP;
  }
  return status;
}

Status State::EnsureOpen(const Caller& caller, LockedFile& file, bool write) {
  uint32_t needed = write ? OPEN4_SHARE_ACCESS_WRITE : OPEN4_SHARE_ACCESS_READ;
  if ((file.access & needed) != 0) return NFS4_OK;
  if (file.access == 0) {
    file.owner = OpenOwner{next_number_++, 1, epoch_};
    file.credential = caller.credential;
  }
  Status status = OpenForLock(caller, file, OPEN4_SHARE_ACCESS_BOTH, false);
  if (status == NFS4ERR_ACCESS || status == NFS4ERR_ROFS || status == NFS4ERR_PERM) {
    status = OpenForLock(caller, file, needed, false);
  }
  return status;
}

void State::CloseLocked(const Caller& caller, LockedFile& file) {
  if (file.access == 0) return;
  Results results =
      client_.Once(caller, Compound().PutFh(file.target.file).Close(file.open, file.owner.seqid));
  results.Op(OP_PUTFH);
  results.State(OP_CLOSE);
  file.access = 0;
}

Status State::LockOnce(const Caller& caller, LockedFile& file, Locker& locker,
                       const LockRange& range, bool reclaim) {
  LockRequest request;
  request.write = range.write;
  request.reclaim = reclaim;
  request.offset = range.offset;
  request.length = range.length;
  request.first = !locker.known;
  request.open_seqid = file.owner.seqid;
  request.open = file.open;
  request.lock_seqid = locker.seqid;
  request.lock = locker.state;
  request.owner = NameOf(locker.number);
  Results results = client_.Once(caller, Compound().PutFh(file.target.file).Lock(request));
  results.Op(OP_PUTFH);
  LockConflict conflict;
  StateId state = results.Lock(conflict);
  Status status = results.status();
  if (request.first) MoveSeqid(file.owner.seqid, results, OP_LOCK, status);
  if (!request.first || status == NFS4_OK) MoveSeqid(locker.seqid, results, OP_LOCK, status);
  if (status != NFS4_OK) return status;
  locker.known = true;
  locker.state = state;
  return status;
}

Status State::UnlockOnce(const Caller& caller, LockedFile& file, Locker& locker,
                         const LockRange& range) {
  Results results =
      client_.Once(caller, Compound()
                               .PutFh(file.target.file)
                               .Unlock(locker.state, locker.seqid, range.offset, range.length));
  results.Op(OP_PUTFH);
  StateId state = results.State(OP_LOCKU);
  MoveSeqid(locker.seqid, results, OP_LOCKU, results.status());
  if (results.ok()) locker.state = state;
  return results.status();
}

// Precondition: the file's mutex is held, recovery_ is held shared.
Status State::SetLockOnce(const Caller& caller, LockedFile& file, uint64_t owner, LockKind kind,
                          const LockRange& range) {
  auto found = file.lockers.find(owner);
  if (kind == LockKind::kUnlock) {
    if (found == file.lockers.end()) return NFS4_OK;
    Status status = NFS4_OK;
    if (found->second.known) status = UnlockOnce(caller, file, found->second, range);
    if (status == NFS4_OK) ApplyLock(found->second.held, range, false);
    return status;
  }
  Status status = EnsureOpen(caller, file, kind == LockKind::kWrite);
  if (status != NFS4_OK) return status;
  if (found == file.lockers.end()) {
    found = file.lockers.emplace(owner, Locker{}).first;
    found->second.number = next_number_++;
  }
  Locker& locker = found->second;
  status = LockOnce(caller, file, locker, range, false);
  if (status == NFS4_OK) ApplyLock(locker.held, range, true);
  if (!locker.known) file.lockers.erase(found);
  return status;
}

Status State::SetLock(const Caller& caller, const LockTarget& target, uint64_t owner, LockKind kind,
                      uint64_t offset, uint64_t length) {
  if (kind == LockKind::kUnlock && !any_locks()) return NFS4_OK;
  LockRange range{offset, length, kind == LockKind::kWrite};
  return UntilAnswered(caller, BadSeqid::kRecover, [&] {
    auto file = FindFile(target, kind != LockKind::kUnlock);
    if (!file) return NFS4_OK;
    Status status = NFS4_OK;
    {
      std::lock_guard lock(file->mutex);
      file->target = target;  // its name may have changed
      status = SetLockOnce(caller, *file, owner, kind, range);
      if (file->lockers.empty() && !IsLost(status)) CloseLocked(caller, *file);
    }
    ForgetIfIdle(file);
    return status;
  });
}

Status State::TestLock(const Caller& caller, const LockTarget& target, uint64_t owner, bool write,
                       uint64_t offset, uint64_t length, LockConflict& conflict) {
  return UntilAnswered(caller, BadSeqid::kIsTheAnswer, [&] {
    uint64_t number = 0;  // an owner that holds nothing
    if (auto file = FindFile(target, false)) {
      std::lock_guard lock(file->mutex);
      auto found = file->lockers.find(owner);
      if (found != file->lockers.end()) number = found->second.number;
    }
    Results results = client_.Once(
        caller, Compound().PutFh(target.file).LockTest(write, offset, length, NameOf(number)));
    results.Op(OP_PUTFH);
    results.LockTest(conflict);
    return results.status();
  });
}

Status State::ReleaseLocks(const Caller& caller, const FileHandle& handle, uint64_t owner) {
  if (!any_locks()) return NFS4_OK;
  LockTarget target;
  target.file = handle;
  {
    Shared shared;
    Status status = Enter(caller, shared);
    if (status != NFS4_OK) return status;
    auto file = FindFile(target, false);
    if (!file) return NFS4_OK;
    std::lock_guard lock(file->mutex);
    if (file->lockers.count(owner) == 0) return NFS4_OK;
    target = file->target;
  }
  Status status = SetLock(caller, target, owner, LockKind::kUnlock, 0, UINT64_MAX);
  Shared shared;
  Status entered = Enter(caller, shared);
  if (entered != NFS4_OK) return entered;
  auto file = FindFile(target, false);
  if (!file) return status;
  {
    std::lock_guard lock(file->mutex);
    auto found = file->lockers.find(owner);
    if (found != file->lockers.end()) {
      Owner name = NameOf(found->second.number);
      file->lockers.erase(found);
      client_.Once(caller, Compound().ReleaseLockOwner(name));
    }
    if (file->lockers.empty()) CloseLocked(caller, *file);
  }
  ForgetIfIdle(file);
  return status;
}

}  // namespace tarn::fuse
