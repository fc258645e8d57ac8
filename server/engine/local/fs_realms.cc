// Realms: made, limited, told about, removed.
//
// A tree that moves between realms moves one inode at a time, each in a batch of its own with the
// usage; the realm's record says that the move goes on, and the next start finishes it. Meanwhile
// nobody changes names (StructureLock).
#include <algorithm>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"
#include "server/vfs/names.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

// What a file system without a quota says of its files: the table of inodes has no limit.
constexpr uint64_t kFilesTotal = uint64_t{1} << 32;

uint64_t Rest(uint64_t total, int64_t used) {
  auto taken = static_cast<uint64_t>(std::max<int64_t>(used, 0));
  return total > taken ? total - taken : 0;
}

}  // namespace

Result<FileId> LocalFileSystem::RealmRoot(RealmId realm) {
  if (deleted_) return Error(Code::kStale);
  TRY(Realm * found, realms_.FindLive(realm));
  return FileId{found->root, found->root_generation};
}

Result<FileId> LocalFileSystem::EnsureDirectory(std::string_view path,
                                                const std::optional<CreationInfo>& creation) {
  TRY(auto components, SplitPath(path));
  const Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = kRootRealm, .read_only = false};
  TRY(FileId at, RealmRoot(kRootRealm));
  for (size_t i = 0; i < components.size(); ++i) {
    auto found = Lookup(root, at, components[i]);
    if (found.code() == Code::kNoEntry) {
      if (!creation) {
        return Error(Code::kNoEntry, "path \"" + std::string(path) +
                                         "\" is not there and there is no creation info");
      }
      CreationInfo info = i + 1 == components.size() ? *creation : CreationInfo{};
      CreateOptions options;
      options.type = FileType::kDirectory;
      options.attributes.mode = info.permissions & 07777;
      options.attributes.uid = info.owner_uid;
      options.attributes.gid = info.owner_gid;
      auto made = Create(root, at, components[i], options);
      found = made.code() == Code::kExists ? Lookup(root, at, components[i])
              : made.ok()                  ? Result<Attributes>(made->attributes)
                                           : Result<Attributes>(made.error());
    }
    if (!found) return found.error();
    if (found->type != FileType::kDirectory) {
      return Error(Code::kNotDirectory,
                   "path \"" + std::string(path) + "\" leads through what is no directory");
    }
    at = found->id;
  }
  return at;
}

Result<RealmId> LocalFileSystem::EnsureRealm(std::string_view path,
                                             const std::optional<CreationInfo>& creation) {
  std::lock_guard one(realm_mutex_);
  constexpr int kAttempts = 16;  // the directory may be removed again by others
  for (int i = 0; i < kAttempts; ++i) {
    TRY(FileId directory, EnsureDirectory(path, creation));
    if (Realm* realm = realms_.FindByRoot(directory.inode)) {
      // Still entering: the disk failed in the middle of it.
      if (realm->state.load() == RealmState::kEntering) TRY(FinishEntering(*realm));
      return realm->id;
    }
    auto made = MakeRealm(directory);
    if (made.code() != Code::kStale) return made;
  }
  return Error(Code::kUnavailable, "path \"" + std::string(path) + "\" keeps being removed");
}

Result<RealmId> LocalFileSystem::MakeRealm(FileId directory) {
  TRY(uint64_t id, NewNumber());
  std::unique_lock structure(structure_);
  TRY(InodePtr inode, Find(directory));
  RealmRecord record;
  {
    std::shared_lock lock(inode->mutex);
    if (inode->gone) return *inode->gone;
    record.parent = inode->record.realm;
  }
  if (realms_.Find(record.parent) == nullptr) {
    return Error(Code::kCorrupt, "inode " + std::to_string(directory.inode) + " has no realm");
  }
  record.state = RealmState::kEntering;
  record.root = directory.inode;
  record.root_generation = directory.generation;
  Batch batch(store_);
  batch.Put(Table::kMeta, RealmKey(number_, id), Encode(record));
  TRY(store_.Write(batch));
  Realm* realm = realms_.Add(id, record);
  structure.unlock();
  TRY(FinishEntering(*realm));
  return id;
}

Result<void> LocalFileSystem::FinishEntering(Realm& realm) {
  std::unique_lock structure(structure_);
  TRY(MoveTree(realm.root, *realm.parent.load(), realm));
  realm.state = RealmState::kLive;
  Batch done(store_);
  realms_.Put(done, realm);
  TRY(Ticket ticket, store_.Write(done));
  structure.unlock();
  return store_.Sync(ticket);
}

// `to` lies in `from` or the other way round: only the inner one's usage changes.
void LocalFileSystem::CountMove(Batch& batch, Realm& from, Realm& to, int64_t bytes,
                                int64_t files) const {
  if (to.parent.load() == &from) {
    batch.AddUsage(UsageKey(number_, to.id), {bytes, files});
  } else {
    batch.AddUsage(UsageKey(number_, from.id), {-bytes, -files});
  }
}

namespace {

void CountMoveInMemory(Realm& from, Realm& to, int64_t bytes, int64_t files) {
  if (to.parent.load() == &from) {
    to.bytes += bytes;
    to.files += files;
  } else {
    from.bytes -= bytes;
    from.files -= files;
  }
}

}  // namespace

Result<void> LocalFileSystem::MoveNested(Realm& nested, Realm& from, Realm& to) {
  if (nested.parent.load() != &from) return Ok();
  Batch batch(store_);
  TRY(auto stored, store_.Get(Table::kMeta, UsageKey(number_, nested.id)));
  UsageDelta usage;
  if (stored) {
    TRY(usage, DecodeUsage(*stored));
  }
  RealmRecord record = nested.Record();
  record.parent = to.id;
  batch.Put(Table::kMeta, RealmKey(number_, nested.id), Encode(record));
  CountMove(batch, from, to, usage.bytes, usage.files);
  TRY(store_.Write(batch));
  CountMoveInMemory(from, to, nested.bytes.load(), nested.files.load());
  nested.parent = &to;
  return Ok();
}

// True: a directory of the tree, to go on into.
Result<bool> LocalFileSystem::MoveInode(uint64_t number, Realm& from, Realm& to) {
  TRY(InodePtr inode, cache_.Find(number));
  std::unique_lock lock(inode->mutex);
  if (inode->gone) return *inode->gone;
  if (inode->record.realm == to.id) return inode->IsDirectory();
  if (inode->record.realm != from.id) {
    Realm* nested = realms_.Find(inode->record.realm);
    if (nested == nullptr) {
      return Error(Code::kCorrupt, "inode " + std::to_string(number) + " has no realm");
    }
    TRY(MoveNested(*nested, from, to));
    return false;
  }
  Batch batch(store_);
  InodeRecord form = inode->StoredForm();
  form.realm = to.id;
  PutInode(batch, *inode, form);
  auto stored = static_cast<int64_t>(form.Footprint());
  CountMove(batch, from, to, stored, 1);
  TRY(inode->ticket, store_.Write(batch));
  CountMoveInMemory(from, to, static_cast<int64_t>(inode->record.Footprint()), 1);
  inode->record.realm = to.id;
  return inode->IsDirectory();
}

Result<void> LocalFileSystem::MoveTree(uint64_t root, Realm& from, Realm& to) {
  std::vector<uint64_t> directories;
  TRY(bool descend, MoveInode(root, from, to));
  if (descend) directories.push_back(root);
  while (!directories.empty()) {
    uint64_t directory = directories.back();
    directories.pop_back();
    std::string prefix = InodeKey(number_, directory);
    std::vector<uint64_t> children;
    Result<void> status;
    TRY(store_.Scan(Table::kNames, prefix, After(prefix), [&](std::string_view, auto value) {
      auto name = DecodeName(value);
      if (!name) status = name.error();
      if (name && name->inode != 0) children.push_back(name->inode);
      return name.ok();
    }));
    TRY(std::move(status));
    for (uint64_t child : children) {
      TRY(GoOn());  // the rest is moved when it is loaded again
      TRY(descend, MoveInode(child, from, to));
      if (!descend || child == root) continue;
      // By a damaged row a name may lead anywhere, also back.
      TRY(InodePtr inode, cache_.Find(child));
      if (inode->parent.load() == directory) directories.push_back(child);
    }
  }
  return Ok();
}

Result<void> LocalFileSystem::FinishLeaving(Realm& realm) {
  std::unique_lock structure(structure_);
  TRY(MoveTree(realm.root, realm, *realm.parent.load()));
  realm.state = RealmState::kForgotten;
  Batch done(store_);
  realms_.Put(done, realm);
  TRY(Ticket ticket, store_.Write(done));
  structure.unlock();
  return store_.Sync(ticket);
}

// At the start: moves that a crash interrupted.
Result<void> LocalFileSystem::FinishMoves() {
  for (Realm* realm : realms_.All()) {
    RealmState state = realm->state.load();
    Realm* outer = realm->parent.load();
    if (outer == nullptr) continue;
    if (state == RealmState::kEntering) {
      TRY(FinishEntering(*realm));
    } else if (state == RealmState::kLeaving) {
      TRY(FinishLeaving(*realm));
    }
  }
  return Ok();
}

Result<void> LocalFileSystem::SetQuota(RealmId realm, const Quota& quota) {
  std::lock_guard one(realm_mutex_);
  TRY(Realm * found, realms_.FindLive(realm));
  RealmRecord record = found->Record();
  record.quota = quota;
  Batch batch(store_);
  batch.Put(Table::kMeta, RealmKey(number_, realm), Encode(record));
  TRY(store_.WriteAndSync(batch));
  found->bytes_max = quota.bytes_max;
  found->files_max = quota.files_max;
  return Ok();
}

Result<SpaceInfo> LocalFileSystem::GetSpace(RealmId realm) {
  TRY(Realm * found, realms_.FindLive(realm));
  SpaceInfo info;
  auto count = [](int64_t value) { return static_cast<uint64_t>(std::max<int64_t>(value, 0)); };
  info.usage = {count(found->bytes.load()), count(found->files.load())};
  info.quota = {found->bytes_max.load(), found->files_max.load()};
  Disk::Space disk;
  if (options_.disk->GetSpace(options_.data_dir, &disk) != 0) {
    return SystemError("find the free space of", options_.data_dir);
  }
  info.bytes_total = info.quota.bytes_max != 0 ? info.quota.bytes_max : disk.total;
  info.files_total = info.quota.files_max != 0 ? info.quota.files_max : kFilesTotal;
  info.bytes_free = disk.free;
  info.files_free = Rest(info.files_total, found->files.load());
  for (Realm* at = found; at != nullptr; at = at->parent.load()) {
    uint64_t bytes_max = at->bytes_max.load();
    uint64_t files_max = at->files_max.load();
    if (bytes_max != 0) info.bytes_free = std::min(info.bytes_free, Rest(bytes_max, at->bytes));
    if (files_max != 0) info.files_free = std::min(info.files_free, Rest(files_max, at->files));
  }
  return info;
}

Result<LocalFileSystem::Slot> LocalFileSystem::NameOf(uint64_t directory, uint64_t inode) {
  std::string prefix = InodeKey(number_, directory);
  Slot slot;
  TRY(store_.Scan(Table::kNames, prefix, After(prefix), [&](std::string_view key, auto value) {
    auto name = DecodeName(value);
    if (!name || name->inode != inode) return true;
    slot = {NumberAt(key, prefix.size()), std::move(*name)};
    return false;
  }));
  if (slot.found) return slot;
  return Error(Code::kCorrupt, "directory " + std::to_string(inode) + " has no name in " +
                                   std::to_string(directory));
}

Result<Store::Ticket> LocalFileSystem::MoveToTrash(Realm& realm) {
  TRY(InodePtr root, cache_.Find(realm.root));
  TRY(InodePtr parent, cache_.Find(root->parent.load()));
  LockSet locks;
  locks.Lock({root, parent});
  TRY(Slot slot, NameOf(parent->number, root->number));
  Change change(store_);
  TRY(DeleteName(change.batch, parent->number, slot.hash));
  InodeRecord touched = Touched(*parent, -1, -1);
  PutInode(change.batch, *parent, touched);
  InodeRecord form = root->record;
  form.parent = 0;
  PutInode(change.batch, *root, form);
  change.batch.Put(Table::kMeta, TrashKey(number_, root->number), "");
  RealmRecord record = realm.Record();
  record.state = RealmState::kDying;
  change.batch.Put(Table::kMeta, RealmKey(number_, realm.id), Encode(record));
  TRY(Ticket ticket, Apply(change));
  parent->record = touched;
  root->record = form;
  root->parent = 0;
  realm.state = RealmState::kDying;
  return ticket;
}

Result<void> LocalFileSystem::RemoveRealm(RealmId realm, bool delete_data) {
  std::lock_guard one(realm_mutex_);
  TRY(Realm * found, realms_.FindLive(realm));
  if (realm == kRootRealm) {
    return Error(Code::kInvalid, "the root realm is the file system itself");
  }
  std::unique_lock structure(structure_);
  Ticket ticket = 0;
  if (delete_data) {
    for (Realm* other : realms_.All()) {
      if (other->state.load() > RealmState::kEntering || other == found) continue;
      for (Realm* at = other->parent.load(); at != nullptr; at = at->parent.load()) {
        if (at == found) return Error(Code::kInUse, "another realm lies in this one");
      }
    }
    TRY(ticket, MoveToTrash(*found));
  } else {
    found->state = RealmState::kLeaving;
    Batch batch(store_);
    realms_.Put(batch, *found);
    TRY(store_.Write(batch));
  }
  structure.unlock();
  if (delete_data) {
    TRY(store_.Sync(ticket));
  } else {
    TRY(FinishLeaving(*found));
  }
  wake_();
  return Ok();
}

}  // namespace tarn::local
