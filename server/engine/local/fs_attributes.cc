// Attributes, opening, pins, orphans.
#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<Attributes> LocalFileSystem::GetAttributes(const Caller& caller, FileId file) {
  TRY(InodePtr inode, Find(file));
  std::shared_lock lock(inode->mutex);
  TRY(Usable(caller, *inode, file));
  return inode->attributes();
}

namespace {

// More of them wait for the next start.
constexpr size_t kLeftOrphansMax = 65536;

// The record after a change that is allowed. Sizes and the change attribute are not its business.
InodeRecord Changed(const Caller& caller, const Inode& inode, const AttributeChange& change,
                    Time now) {
  InodeRecord next = inode.record;
  next.mode = ModeAfterChange(caller, inode.attributes(), change);
  next.uid = change.uid.value_or(next.uid);
  next.gid = change.gid.value_or(next.gid);
  if (change.size) next.modify_time = now;
  if (change.access_time_now) next.access_time = now;
  if (change.modify_time_now) next.modify_time = now;
  if (change.access_time) next.access_time = *change.access_time;
  if (change.modify_time) next.modify_time = *change.modify_time;
  next.change_time = now;
  next.has_verifier = false;
  next.verifier = 0;
  return next;
}

Result<void> CheckSize(const Inode& inode, const AttributeChange& change) {
  if (!change.size) return Ok();
  if (inode.IsDirectory()) return Error(Code::kIsDirectory);
  if (inode.record.type != FileType::kRegular) return Error(Code::kInvalid);
  if (*change.size > kFileBytesMax) return Error(Code::kFileTooBig);
  return Ok();
}

}  // namespace

Result<Attributes> LocalFileSystem::SetAttributes(const Caller& caller, FileId file,
                                                  const AttributeChange& change) {
  TRY(InodePtr inode, Find(file));
  std::unique_lock flush(inode->flush_mutex, std::defer_lock);
  if (change.size) flush.lock();
  Attributes result;
  Ticket ticket = 0;
  Cut cut;
  bool flushes = false;
  {
    std::unique_lock lock(inode->mutex);
    TRY(Usable(caller, *inode, file));
    TRY(CheckSize(*inode, change));
    TRY(CheckChange(caller, inode->attributes(), change));
    InodeRecord next = Changed(caller, *inode, change, Now());
    next.change = NextChange(next.change);
    bool resized = change.size && *change.size != inode->record.size;
    // A size that unstable writes made is not stored yet: naming it is what makes it durable.
    flushes = resized || (change.size && inode->dirty);
    if (flushes) {
      // Once it is cut, nothing can be taken back.
      TRY(store_.Ready());
      MarkDirty(inode);
      if (resized) {
        TRY(cut, Resize(*inode, *change.size));
        next.size = inode->record.size;
        next.space_used = inode->record.space_used;
        next.place = inode->record.place;
      }
      inode->record = next;
    } else {
      InodeRecord before = std::exchange(inode->record, next);
      Batch batch(store_);
      PutInode(batch, *inode, inode->StoredForm());
      auto written = store_.Write(batch);
      if (!written) {
        inode->record = before;
        return written.error();
      }
      ticket = inode->ticket = *written;
      inode->change_stored = std::max(inode->change_stored, next.change);
    }
    result = inode->attributes();
  }
  if (flushes) {
    TRY(ticket, Flush(inode));
  }
  TRY(store_.Sync(ticket));
  if (!cut.empty()) RemoveCutFiles(*inode, cut);
  return result;
}

Result<Attributes> LocalFileSystem::Open(const Caller& caller, FileId file, bool read, bool write) {
  TRY(InodePtr inode, Find(file));
  std::shared_lock lock(inode->mutex);
  TRY(Usable(caller, *inode, file));
  if (inode->IsDirectory()) return Error(Code::kIsDirectory);
  if (inode->record.type != FileType::kRegular) return Error(Code::kInvalid);
  Attributes attributes = inode->attributes();
  TRY(CheckAccess(caller, attributes, (read ? kMayRead : 0) | (write ? kMayWrite : 0)));
  std::lock_guard pin(inode->pin_mutex);
  if (inode->pins++ == 0) inode->self = inode;
  return attributes;
}

Result<void> LocalFileSystem::Pin(FileId file) {
  TRY(InodePtr inode, Find(file));
  std::shared_lock lock(inode->mutex);
  if (inode->gone) return *inode->gone;
  if (inode->record.generation != file.generation) return Error(Code::kStale);
  std::lock_guard pin(inode->pin_mutex);
  if (inode->pins++ == 0) inode->self = inode;
  return Ok();
}

void LocalFileSystem::Unpin(FileId file) {
  auto found = Find(file);
  if (!found) return;
  InodePtr inode = *found;
  {
    std::shared_lock lock(inode->mutex);
    if (inode->gone || inode->record.generation != file.generation) return;
    std::lock_guard pin(inode->pin_mutex);
    if (inode->pins == 0) return;
    if (--inode->pins > 0) return;
    inode->self.reset();
    if (inode->record.links > 0 || MayBeReclaimed(*inode)) return;
  }
  // The last use of a file without names. When the disk fails it is tried again (FreeLeftOrphans).
  // Nobody waits for it to be durable: after a crash it is an orphan still, whose bytes are all
  // there (ReclaimFreed syncs before it removes any), and the end of grace frees it.
  if (!FreeOrphan(inode)) FreeLater(file);
}

void LocalFileSystem::FreeLater(FileId orphan) {
  std::lock_guard lock(orphan_mutex_);
  if (left_orphans_.size() < kLeftOrphansMax) left_orphans_.push_back(orphan);
}

void LocalFileSystem::FreeLeftOrphans() {
  std::vector<FileId> left;
  {
    std::lock_guard lock(orphan_mutex_);
    left.swap(left_orphans_);
  }
  for (FileId file : left) {
    auto inode = Find(file);
    if (inode.code() == Code::kStale || (inode && FreeOrphan(*inode))) continue;
    FreeLater(file);
  }
}

Result<void> LocalFileSystem::FreeOrphan(const InodePtr& inode) {
  std::unique_lock lock(inode->mutex);
  if (inode->gone || inode->record.links > 0 || inode->pinned()) return Ok();
  Change change(store_);
  TRY(Free(change, inode));
  change.batch.Delete(Table::kMeta, OrphanKey(number_, inode->number));
  return Apply(change).ok() ? Ok() : Result<void>(Error(Code::kIo));
}

Result<void> LocalFileSystem::ReleaseOrphans() {
  keeps_orphans_ = false;
  // What still saw that it is to keep them has marked its orphans when it lets go of this.
  { std::unique_lock structure(structure_); }
  std::string prefix = MetaPrefix('O', number_);
  std::vector<uint64_t> orphans;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, std::string_view) {
    orphans.push_back(NumberAt(key, prefix.size()));
    return true;
  }));
  for (uint64_t number : orphans) {
    auto inode = cache_.Find(number);
    if (inode.code() == Code::kStale) {  // a key without its file: nothing is left to do
      Batch batch(store_);
      batch.Delete(Table::kMeta, OrphanKey(number_, number));
      TRY(store_.Write(batch));
      continue;
    }
    if (!inode) return inode.error();
    if (FreeOrphan(*inode)) continue;
    std::shared_lock lock((*inode)->mutex);
    FreeLater((*inode)->id());
  }
  return store_.Sync(store_.Latest());
}

}  // namespace tarn::local
