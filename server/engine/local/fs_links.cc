// Link, remove, rename; and what happens when a file's last name goes.
#include "server/engine/local/local_file_system.h"
#include "server/vfs/names.h"
#include "server/vfs/permission.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

// Far more than any tree is deep: who climbs so many goes in circles.
constexpr size_t kAncestorsMax = 1 << 20;

}  // namespace

Result<DirectoryChange> LocalFileSystem::Link(const Caller& caller, FileId file, FileId directory,
                                              std::string_view name) {
  if (auto done = Replayed(caller)) return done->target;
  TRY(InodePtr inode, Find(file));
  TRY(InodePtr parent, Find(directory));
  std::shared_lock structure(structure_);
  LockSet locks;
  locks.Lock({inode, parent});
  TRY(Usable(caller, *inode, file));
  TRY(UsableDirectory(caller, *parent, directory));
  TRY(CheckName(name));
  if (inode->IsDirectory()) return Error(Code::kIsDirectory);
  TRY(CheckAccess(caller, parent->attributes(), kMayExecute));
  TRY(Slot slot, FindName(directory.inode, name));
  if (slot.found) return Error(Code::kExists);
  TRY(CheckAccess(caller, parent->attributes(), kMayWrite));
  if (inode->record.links == 0) return Error(Code::kNoEntry);
  if (inode->record.realm != parent->record.realm) return Error(Code::kCrossDevice);
  if (inode->record.links >= kLinksMax) return Error(Code::kTooManyLinks);
  TRY(RefuseIfFull());

  Change change(store_);
  InodeRecord touched = Touched(*parent, 1, 0);
  InodeRecord before = inode->record;
  PutName(change.batch, directory.inode, slot, name, *inode);
  PutInode(change.batch, *parent, touched);
  DirectoryChange result{parent->record.change, touched.change};
  KeepReplay(change.batch, caller, {0, {}, result, {}});
  ++inode->record.links;
  inode->record.change = NextChange(inode->record.change);
  inode->record.change_time = Now();
  PutInode(change.batch, *inode, inode->StoredForm());
  auto ticket = Apply(change);
  if (!ticket) {
    inode->record = before;
    return ticket.error();
  }
  inode->ticket = *ticket;
  parent->record = touched;
  locks.Unlock();
  structure.unlock();
  TRY(store_.Sync(*ticket));
  return result;
}

Result<void> LocalFileSystem::Free(Change& change, const InodePtr& inode) {
  const InodeRecord& record = inode->record;
  std::string key = InodeKey(number_, inode->number);
  change.batch.Delete(Table::kInodes, key);
  if (record.type == FileType::kSymlink ||
      (inode->stored.place == Place::kInline && inode->stored.space_used > 0)) {
    change.batch.Delete(Table::kInline, key);
  }
  if (inode->stored.place == Place::kChunks || record.place == Place::kChunks) {
    // Its chunks stay in their table until their files are gone, see ReclaimFreed; so do those that
    // no flush has stored yet.
    if (inode->data) {
      if (inode->data->cut_from && record.shares) {
        TRY(DropShares(change.batch, *inode, *inode->data->cut_from));
      }
      for (auto& [index, chunk] : inode->data->chunks) {
        if (chunk.idle()) continue;
        change.batch.Put(Table::kChunks, ChunkKey(number_, inode->number, index), chunk.Encode());
        if (!chunk.sharing) continue;
        std::vector<ShareChange> shares;
        TakeShares(index, chunk, false, shares);
        for (auto& share : shares) PutShares(change.batch, inode->number, share);
      }
    }
    DeleteJournal(change.batch, *inode);
    change.batch.Put(Table::kMeta, FreedKey(number_, inode->number), "");
    change.apply.push_back(wake_);
  }
  if (inode->IsDirectory()) {
    // Marks of removed names that collided.
    TRY(store_.Scan(Table::kNames, key, After(key), [&](std::string_view name, std::string_view) {
      change.batch.Delete(Table::kNames, std::string(name));
      return true;
    }));
  }
  if (record.xattrs > 0) {
    TRY(store_.Scan(Table::kXattrs, key, After(key), [&](std::string_view at, std::string_view) {
      change.batch.Delete(Table::kXattrs, std::string(at));
      return true;
    }));
  }
  auto stored = static_cast<int64_t>(inode->stored.space_used + record.xattr_bytes);
  realms_.Charge(change.batch, record.realm, -stored, -1);
  change.apply.push_back([this, inode] {
    auto shown = static_cast<int64_t>(inode->record.Footprint());
    (void)realms_.Charge(inode->record.realm, -shown, -1);
  });
  change.freed.push_back(inode);
  return Ok();
}

Result<void> LocalFileSystem::DropLink(Change& change, const InodePtr& inode) {
  InodeRecord next = inode->record;
  next.links = inode->IsDirectory() ? 0 : next.links - 1;
  if (next.links == 0 && !inode->pinned() && !MayBeReclaimed(*inode)) {
    return Free(change, inode);
  }
  next.change = NextChange(next.change);
  next.change_time = Now();
  std::swap(next, inode->record);
  InodeRecord form = inode->StoredForm();
  std::swap(next, inode->record);
  PutInode(change.batch, *inode, form);
  if (next.links == 0) change.batch.Put(Table::kMeta, OrphanKey(number_, inode->number), "");
  change.apply.push_back([inode, next] { inode->record = next; });
  return Ok();
}

Result<Store::Ticket> LocalFileSystem::RemoveLocked(const Caller& caller, const InodePtr& directory,
                                                    const InodePtr& child, FileId directory_id,
                                                    const Slot& slot, ReplayRecord* result) {
  TRY(UsableDirectory(caller, *directory, directory_id));
  if (child->gone) return *child->gone;
  TRY(CheckRemove(caller, directory->attributes(), child->attributes()));
  bool is_directory = child->IsDirectory();
  if (child->record.realm != directory->record.realm && is_directory) {
    return Error(Code::kInUse, "the directory is the root of an access point");
  }
  if (is_directory && child->record.entries > 0) return Error(Code::kNotEmpty);
  Change change(store_);
  InodeRecord touched = Touched(*directory, -1, is_directory ? -1 : 0);
  TRY(DeleteName(change.batch, directory->number, slot.hash));
  PutInode(change.batch, *directory, touched);
  TRY(DropLink(change, child));
  result->target = {directory->record.change, touched.change};
  KeepReplay(change.batch, caller, *result);
  TRY(Ticket ticket, Apply(change));
  child->ticket = ticket;
  directory->record = touched;
  return ticket;
}

Result<DirectoryChange> LocalFileSystem::Remove(const Caller& caller, FileId directory,
                                                std::string_view name) {
  if (auto done = Replayed(caller)) return done->target;
  TRY(InodePtr parent, Find(directory));
  for (;;) {
    Slot slot;
    InodePtr child;
    {
      std::shared_lock lock(parent->mutex);
      TRY(UsableDirectory(caller, *parent, directory));
      TRY(CheckName(name));
      TRY(CheckAccess(caller, parent->attributes(), kMayExecute));
      TRY(slot, FindName(directory.inode, name));
      if (!slot.found) return Error(Code::kNoEntry);
      TRY(child, Named(*slot.found));
    }
    std::shared_lock structure(structure_);
    LockSet locks;
    locks.Lock({parent, child});
    TRY(Slot again, FindName(directory.inode, name));
    if (!again.found || again.found->inode != slot.found->inode) continue;
    ReplayRecord result;
    TRY(Ticket ticket, RemoveLocked(caller, parent, child, directory, again, &result));
    locks.Unlock();
    structure.unlock();
    TRY(store_.Sync(ticket));
    return result.target;
  }
}

// --- rename ---

struct LocalFileSystem::RenameJob {
  const Caller& caller;
  FileId source_id;
  FileId target_id;
  std::string_view source_name;
  std::string_view target_name;
  InodePtr source{};  // directory
  InodePtr target{};  // directory
  InodePtr file{};
  InodePtr replaced{};  // or nullptr
  Slot from{};
  Slot to{};
  bool into_itself = false;
  Renamed result{};
};

Result<bool> LocalFileSystem::IsAbove(uint64_t inode, uint64_t directory) {
  for (size_t steps = 0; directory != 0; ++steps) {
    if (directory == inode) return true;
    if (steps == kAncestorsMax) {
      return Error(Code::kCorrupt, "directory " + std::to_string(directory) + " lies in itself");
    }
    TRY(InodePtr at, cache_.Find(directory));
    directory = at->parent.load();
  }
  return false;
}

Result<FileSystem::Renamed> LocalFileSystem::Rename(const Caller& caller, FileId source_directory,
                                                    std::string_view source_name,
                                                    FileId target_directory,
                                                    std::string_view target_name) {
  if (auto done = Replayed(caller)) return Renamed{done->source, done->target};
  RenameJob job{.caller = caller,
                .source_id = source_directory,
                .target_id = target_directory,
                .source_name = source_name,
                .target_name = target_name};
  TRY(job.source, Find(source_directory));
  TRY(job.target, Find(target_directory));
  for (;;) {
    TRY(auto ticket, TryRename(job));
    if (!ticket) continue;
    TRY(store_.Sync(*ticket));
    return job.result;
  }
}

// Nothing: the names changed while their inodes were not locked yet.
Result<std::optional<Store::Ticket>> LocalFileSystem::TryRename(RenameJob& job) {
  for (auto& [directory, id] :
       {std::pair{job.source, job.source_id}, {job.target, job.target_id}}) {
    std::shared_lock lock(directory->mutex);
    TRY(UsableDirectory(job.caller, *directory, id));
  }
  TRY(CheckName(job.source_name));
  TRY(CheckName(job.target_name));
  for (auto& directory : {job.source, job.target}) {
    std::shared_lock lock(directory->mutex);
    TRY(CheckAccess(job.caller, directory->attributes(), kMayExecute));
  }
  {
    std::shared_lock lock(job.source->mutex);
    TRY(job.from, FindName(job.source->number, job.source_name));
    if (!job.from.found) return Error(Code::kNoEntry);
    TRY(job.file, Named(*job.from.found));
  }
  {
    std::shared_lock lock(job.target->mutex);
    TRY(job.to, FindName(job.target->number, job.target_name));
    job.replaced = nullptr;
    if (job.to.found) {
      TRY(job.replaced, Named(*job.to.found));
    }
  }
  bool moves_tree = job.from.found->type == FileType::kDirectory && job.source != job.target;
  std::unique_lock tree(rename_mutex_, std::defer_lock);
  if (moves_tree) tree.lock();
  std::shared_lock structure(structure_);
  job.into_itself = false;
  if (job.from.found->type == FileType::kDirectory) {
    TRY(job.into_itself, IsAbove(job.file->number, job.target->number));
  }
  std::vector<InodePtr> inodes = {job.source, job.target, job.file};
  if (job.replaced) inodes.push_back(job.replaced);
  LockSet locks;
  locks.Lock(std::move(inodes));
  TRY(Slot from, FindName(job.source->number, job.source_name));
  TRY(Slot to, FindName(job.target->number, job.target_name));
  auto same = [](const Slot& a, const Slot& b) {
    return a.found.has_value() == b.found.has_value() &&
           (!a.found || a.found->inode == b.found->inode);
  };
  if (!same(from, job.from) || !same(to, job.to)) return std::optional<Ticket>();
  job.from = from;
  job.to = to;
  TRY(Ticket ticket, RenameLocked(job));
  return std::optional<Ticket>(ticket);
}

Result<void> LocalFileSystem::CheckRename(const RenameJob& job) {
  const Inode& file = *job.file;
  Attributes source = job.source->attributes();
  Attributes target = job.target->attributes();
  TRY(CheckRemove(job.caller, source, file.attributes()));
  if (job.replaced) {
    TRY(CheckRemove(job.caller, target, job.replaced->attributes()));
  } else {
    TRY(CheckAccess(job.caller, target, kMayWrite));
  }
  bool busy =
      (file.IsDirectory() && file.record.realm != source.realm) ||
      (job.replaced && job.replaced->IsDirectory() && job.replaced->record.realm != target.realm);
  if (busy) return Error(Code::kInUse, "the directory is the root of an access point");
  if (source.realm != target.realm) return Error(Code::kCrossDevice);
  if (file.IsDirectory()) {
    if (job.into_itself) return Error(Code::kInvalid);
    if (job.source != job.target) {
      TRY(CheckAccess(job.caller, file.attributes(), kMayWrite));
      TRY(uint32_t depth, DepthOf(job.target->number));
      if (depth >= kDirectoryDepthMax) return Error(Code::kNameTooLong);
    }
  }
  if (!job.replaced) return RefuseIfFull();
  if (file.IsDirectory() && !job.replaced->IsDirectory()) return Error(Code::kNotDirectory);
  if (!file.IsDirectory() && job.replaced->IsDirectory()) return Error(Code::kIsDirectory);
  if (job.replaced->IsDirectory() && job.replaced->record.entries > 0) {
    return Error(Code::kNotEmpty);
  }
  return Ok();
}

Result<Store::Ticket> LocalFileSystem::RenameLocked(RenameJob& job) {
  Inode& source = *job.source;
  Inode& target = *job.target;
  Inode& file = *job.file;
  TRY(UsableDirectory(job.caller, source, job.source_id));
  TRY(UsableDirectory(job.caller, target, job.target_id));
  if (file.gone) return *file.gone;
  if (job.replaced && job.replaced->gone) return *job.replaced->gone;
  job.result.source = {source.record.change, source.record.change};
  job.result.target = {target.record.change, target.record.change};
  if (job.file == job.replaced) return file.ticket;
  TRY(CheckRename(job));

  bool one = job.source == job.target;
  int moved = file.IsDirectory() ? 1 : 0;
  int replaced_entries = job.replaced ? 1 : 0;
  int replaced_directories = job.replaced && job.replaced->IsDirectory() ? 1 : 0;
  Change change(store_);
  TRY(DeleteName(change.batch, source.number, job.from.hash,
                 one ? std::optional(job.to.hash) : std::nullopt));
  PutName(change.batch, target.number, job.to, job.target_name, file);
  if (job.replaced) TRY(DropLink(change, job.replaced));
  InodeRecord from =
      Touched(source, one ? -replaced_entries : -1, one ? -replaced_directories : -moved);
  InodeRecord to = one ? from : Touched(target, 1 - replaced_entries, moved - replaced_directories);
  PutInode(change.batch, source, from);
  if (!one) PutInode(change.batch, target, to);
  InodeRecord before = file.record;
  file.record.change = NextChange(file.record.change);
  file.record.change_time = Now();
  if (file.IsDirectory()) file.record.parent = target.number;
  PutInode(change.batch, file, file.StoredForm());
  job.result.source.after = from.change;
  job.result.target.after = to.change;
  KeepReplay(change.batch, job.caller, {0, job.result.source, job.result.target, {}});
  auto ticket = Apply(change);
  if (!ticket) {
    file.record = before;
    return ticket.error();
  }
  file.ticket = *ticket;
  file.parent = file.record.parent;
  source.record = from;
  if (!one) target.record = to;
  return *ticket;
}

}  // namespace tarn::local
