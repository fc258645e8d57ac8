// What the engine's own thread does: writing back, emptying trash, removing chunk files.
#include "common/log.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

constexpr size_t kKeysPerPass = 128;
constexpr size_t kNamesPerStep = 256;
constexpr size_t kChunksPerStep = 1024;

}  // namespace

bool LocalFileSystem::Maintain(const std::atomic<bool>& stop) {
  if (deleted_) return false;
  WriteBack(stop);
  MaintainJournal(stop);
  FreeLeftOrphans();
  bool more = false;
  for (auto step : {&LocalFileSystem::ReclaimTrash, &LocalFileSystem::ReclaimFreed,
                    &LocalFileSystem::ReclaimShared}) {
    auto result = (this->*step)(stop);
    if (!result) {
      spdlog::warn("file system {}: reclaiming waits: {}", number_, result.error().ToString());
    }
    more = more || (result && *result);
  }
  (void)ForgetRealms();
  return more;
}

void LocalFileSystem::WriteBack(const std::atomic<bool>& stop) {
  std::vector<InodePtr> old;
  auto limit = clock_.Monotonic() - options_.write_back_after;
  {
    std::lock_guard lock(dirty_mutex_);
    for (auto& [number, dirty] : dirty_) {
      if (dirty.since <= limit) old.push_back(dirty.inode);
    }
  }
  for (auto& inode : old) {
    if (stop) return;
    (void)FlushOne(inode);  // says itself what went wrong
  }
}

// --- trash: directories without a name, to be emptied and removed ---

Result<bool> LocalFileSystem::ReclaimTrash(const std::atomic<bool>& stop) {
  std::string prefix = MetaPrefix('T', number_);
  std::vector<uint64_t> directories;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, std::string_view) {
    directories.push_back(NumberAt(key, prefix.size()));
    return directories.size() < kKeysPerPass;
  }));
  // One that is damaged stands in nobody's way.
  Result<bool> result = !directories.empty();
  for (uint64_t directory : directories) {
    for (bool more = true; more;) {
      if (stop) return true;
      auto emptied = EmptyDirectory(directory);
      if (!emptied) result = emptied.error();
      more = emptied && *emptied;
    }
  }
  return result;
}

// True: there is more in it.
Result<bool> LocalFileSystem::EmptyDirectory(uint64_t number) {
  auto found = cache_.Find(number);
  if (found.code() == Code::kStale) {
    Batch batch(store_);
    batch.Delete(Table::kMeta, TrashKey(number_, number));
    TRY(store_.Write(batch));
    return false;
  }
  TRY(InodePtr directory, std::move(found));
  std::string prefix = InodeKey(number_, number);
  std::vector<std::pair<uint64_t, NameRecord>> names;
  Result<void> status;
  TRY(store_.Scan(Table::kNames, prefix, After(prefix), [&](std::string_view key, auto value) {
    auto name = DecodeName(value);
    if (!name) status = name.error();
    if (name && name->inode != 0) names.emplace_back(NumberAt(key, prefix.size()), *name);
    return name.ok() && names.size() < kNamesPerStep;
  }));
  TRY(std::move(status));
  for (auto& [hash, name] : names) TRY(RemoveTrashEntry(directory, hash, name));
  if (!names.empty()) return true;

  std::unique_lock lock(directory->mutex);
  if (directory->gone) return false;
  Change change(store_);
  TRY(Free(change, directory));
  change.batch.Delete(Table::kMeta, TrashKey(number_, number));
  TRY(Apply(change));
  return false;
}

Result<void> LocalFileSystem::RemoveTrashEntry(const InodePtr& directory, uint64_t hash,
                                               const NameRecord& entry) {
  TRY(InodePtr child, cache_.Find(entry.inode));
  std::shared_lock structure(structure_);
  LockSet locks;
  locks.Lock({directory, child});
  if (directory->gone || child->gone) return Ok();
  Change change(store_);
  TRY(DeleteName(change.batch, directory->number, hash));
  InodeRecord touched = Touched(*directory, -1, child->IsDirectory() ? -1 : 0);
  PutInode(change.batch, *directory, touched);
  if (child->IsDirectory()) {
    // Into the trash itself: so a tree of any depth needs no stack, and a restart goes on.
    InodeRecord form = child->record;
    form.parent = 0;
    PutInode(change.batch, *child, form);
    change.batch.Put(Table::kMeta, TrashKey(number_, child->number), "");
    change.apply.push_back([child, form] {
      child->record = form;
      child->parent = 0;
    });
  } else {
    TRY(DropLink(change, child));
  }
  TRY(Apply(change));
  directory->record = touched;
  return Ok();
}

// --- chunk files of files that are gone ---

Result<bool> LocalFileSystem::ReclaimFreed(const std::atomic<bool>& stop) {
  std::string prefix = MetaPrefix('X', number_);
  std::vector<uint64_t> freed;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, std::string_view) {
    freed.push_back(NumberAt(key, prefix.size()));
    return freed.size() < kKeysPerPass;
  }));
  if (freed.empty()) return false;
  // A crash must not bring back a file whose bytes are gone.
  TRY(store_.Sync(store_.Latest()));
  for (uint64_t number : freed) {
    for (bool more = true; more;) {
      if (stop) return true;
      TRY(more, ReclaimChunks(number));
    }
  }
  return true;
}

Result<bool> LocalFileSystem::ReclaimChunks(uint64_t number) {
  std::string prefix = InodeKey(number_, number);
  // Index, and whether the file that is named after the chunk is its own.
  std::vector<std::pair<uint64_t, bool>> chunks;
  Batch batch(store_);
  TRY(store_.Scan(Table::kChunks, prefix, After(prefix), [&](std::string_view key, auto value) {
    uint64_t index = NumberAt(key, prefix.size());
    auto row = ChunkRow::Decode(value);
    if (row && row->sharing) PutShares(batch, number, {index, {}, row->sharing->stored, {}});
    chunks.emplace_back(index, row && !row->sharing);
    return chunks.size() < kChunksPerStep;
  }));
  for (auto [index, plain] : chunks) {
    ChunkId file{number_, number, index};
    TRY(marks_.Unmark(number, index));
    if (plain) {
      TRY(chunks_.Remove(file));
      TRY(sums_.Delete(batch, file));
    }
    batch.Delete(Table::kChunks, ChunkKey(number_, number, index));
  }
  bool more = chunks.size() == kChunksPerStep;
  if (!more) batch.Delete(Table::kMeta, FreedKey(number_, number));
  TRY(store_.Write(batch));
  return more;
}

// Of a chunk file that nobody uses, and that nobody will. Its sums go first, so that no crash
// leaves them without a file that tells of them, and with them the mark of one that lost a user:
// until then that says what the sums are there for. And none brings a user back.
Result<void> LocalFileSystem::RemoveUnused(const ChunkId& id) {
  Batch batch(store_);
  TRY(sums_.Delete(batch, id));
  batch.Delete(Table::kMeta, UnsharedKey(number_, id.inode, id.index));
  TRY(store_.Write(batch));
  TRY(store_.Sync(store_.Latest()));
  return chunks_.Remove(id);
}

Result<uint64_t> LocalFileSystem::RemoveStrayChunks(const std::atomic<bool>& stop) {
  uint64_t removed = 0;
  Result<void> status;
  TRY(chunks_.Scan(number_, [&](const ChunkId& id) {
    auto stray = RemoveIfStray(id);
    if (!stray) status = stray.error();
    removed += stray && *stray ? 1 : 0;
    return stray.ok() && !stop;
  }));
  TRY(std::move(status));
  if (removed > 0) {
    spdlog::info("file system {}: {} chunk files that a crash left behind are removed", number_,
                 removed);
  }
  return removed;
}

Result<bool> LocalFileSystem::RemoveIfStray(const ChunkId& id) {
  // Files of this run may have chunks that the database does not know yet.
  if (id.inode >= first_new_number_) return false;
  TRY(bool used, IsUsed({id.inode, id.index}));
  if (used) {
    TRY(TrimOwn(id));
    return false;
  }
  auto inode = cache_.Find(id.inode);
  if (inode.code() == Code::kStale) {
    // ReclaimFreed takes the file away before its row, and a row before the mark.
    TRY(RemoveUnused(id));
    return true;
  }
  if (!inode) return inode.error();
  std::lock_guard flush((*inode)->flush_mutex);
  std::unique_lock lock((*inode)->mutex);
  if ((*inode)->gone) return false;
  TRY(FileData::Chunk * chunk, LoadChunk(**inode, id.index));
  if (chunk->sharing) {  // it is named after the chunk, which does not use it
    lock.unlock();
    TRY(RemoveUnused(id));
    return true;
  }
  if (chunk->unsynced || chunk->map_dirty || chunk->map.End() > 0) return false;
  TRY(chunks_.Remove(id));
  return true;
}

// A crash may have come between the row and the hole.
Result<void> LocalFileSystem::TrimOwn(const ChunkId& id) {
  uint64_t number = id.inode;
  uint64_t index = id.index;
  std::string prefix = ChunkKey(number_, id.inode, id.index);
  TRY(store_.Scan(Table::kShares, prefix, After(prefix), [&](std::string_view key, auto) {
    number = NumberAt(key, prefix.size());
    index = NumberAt(key, prefix.size() + 8);
    return false;  // an own file has one user
  }));
  TRY(auto row, store_.Get(Table::kChunks, ChunkKey(number_, number, index)));
  auto chunk = row ? ChunkRow::Decode(*row) : Result<ChunkRow>(ChunkRow());
  if (!row || !chunk) return Ok();
  ChunkId own = id;
  if (chunk->sharing) own = {number_, chunk->sharing->own.inode, chunk->sharing->own.index};
  uint64_t end = chunk->map.End();
  bool dense = chunk->map.Count(0, end) == end;
  if (own != id || (dense && chunks_.SizeOf(id) <= end * kBlockBytes)) return Ok();
  auto inode = cache_.Find(number);
  if (inode.code() == Code::kStale) return Ok();
  if (!inode) return inode.error();
  std::lock_guard flush((*inode)->flush_mutex);
  {
    std::unique_lock lock((*inode)->mutex);
    if ((*inode)->gone) return Ok();
    TRY(LoadChunk(**inode, index));
  }
  RemoveCutFiles(**inode, {index});
  return Ok();
}

// Realms that were removed, once their last file is gone.
Result<void> LocalFileSystem::ForgetRealms() {
  std::lock_guard one(realm_mutex_);
  auto all = realms_.All();
  for (Realm* realm : all) {
    if (realm->state.load() < RealmState::kForgotten || realm->erased) continue;
    bool encloses = false;
    for (Realm* other : all) encloses = encloses || (!other->erased && other->parent == realm);
    if (realm->files.load() > 0 || encloses) continue;
    Batch batch(store_);
    batch.Delete(Table::kMeta, RealmKey(number_, realm->id));
    batch.Delete(Table::kMeta, UsageKey(number_, realm->id));
    TRY(store_.Write(batch));
    realm->erased = true;
  }
  return Ok();
}

}  // namespace tarn::local
