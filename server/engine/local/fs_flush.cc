// From memory to the database: the order that makes a file's data durable.
//
// 1. Under the inode's lock: what is to be stored is copied (Pending), and the file counts as
// clean.
// 2. Without it: the chunk files are synced. 3. Under it again: one batch stores size, block maps,
// small bytes, and the change of usage. So the database never speaks of bytes that are not on the
// disk. flush_mutex is held over all of it: there is one such run a file at a time.
#include <algorithm>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

// How far ahead of what callers saw the stored change attribute is while writes are unstable.
constexpr uint64_t kChangesReserved = 1 << 16;
// Chunk files of one file, and of all, that were written and not synced yet.
constexpr size_t kUnsyncedPerFile = 64;
constexpr size_t kUnsyncedMax = 4096;

}  // namespace

struct LocalFileSystem::Pending {
  DataState state;
  std::vector<std::pair<uint64_t, std::string>> maps;  // empty: none is left
  std::vector<std::pair<uint64_t, std::shared_ptr<ChunkFile>>> files;
  std::optional<std::string> inline_bytes;
  std::optional<uint64_t> cut_from;
  std::vector<ShareChange> shares;
};

void LocalFileSystem::MarkDirty(const InodePtr& inode) {
  if (inode->dirty) return;
  inode->dirty = true;
  std::lock_guard lock(dirty_mutex_);
  dirty_[inode->number] = {inode, clock_.Monotonic()};
  dirty_count_ = dirty_.size();
}

void LocalFileSystem::Undirty(Inode& inode) {
  if (inode.data && inode.data->inline_bytes) {
    dirty_bytes_ -= inode.data->inline_bytes->size();
    inode.data->inline_bytes.reset();
  }
  if (inode.gone && inode.data) {
    for (auto& [index, chunk] : inode.data->chunks) unsynced_files_ -= chunk.unsynced ? 1 : 0;
    inode.data.reset();
  }
  if (!inode.dirty) return;
  inode.dirty = false;
  std::lock_guard lock(dirty_mutex_);
  dirty_.erase(inode.number);
  dirty_count_ = dirty_.size();
}

bool LocalFileSystem::TooDirty(const Inode& inode) const {
  size_t unsynced = 0;
  for (auto& [index, chunk] : inode.data->chunks) unsynced += chunk.unsynced ? 1 : 0;
  return unsynced > kUnsyncedPerFile || unsynced_files_ > kUnsyncedMax ||
         dirty_count_ > options_.dirty_files || dirty_bytes_ > options_.dirty_bytes;
}

// Callers will see change attributes that are not stored, and after a crash none may be lower.
Result<void> LocalFileSystem::ReserveChange(Inode& inode) {
  if (inode.record.change < inode.change_stored) return Ok();
  uint64_t before = inode.change_stored;
  inode.change_stored = inode.record.change + kChangesReserved;
  Batch batch(store_);
  PutInode(batch, inode, inode.StoredForm());
  auto ticket = store_.Write(batch);
  if (ticket) return store_.Flush();
  inode.change_stored = before;
  return ticket.error();
}

void LocalFileSystem::TakePending(Inode& inode, Pending& pending) {
  pending.state = {inode.record.size, inode.record.space_used, inode.record.place};
  if (!inode.data) return;
  for (auto& [index, chunk] : inode.data->chunks) {
    if (chunk.map_dirty) {
      bool empty = chunk.Empty();
      pending.maps.emplace_back(index, empty ? "" : chunk.Encode());
      if (chunk.sharing) TakeShares(index, chunk, empty, pending.shares);
    }
    chunk.storing = chunk.map_dirty || chunk.unsynced;
    chunk.map_dirty = false;
    if (chunk.unsynced) {
      pending.files.emplace_back(index, std::move(chunk.unsynced));
      --unsynced_files_;
    }
    chunk.unsynced = nullptr;
  }
  pending.cut_from = inode.data->cut_from;
  if (pending.state.place == Place::kInline) {
    pending.inline_bytes = inode.data->inline_bytes;
  }
}

// The flush failed: what it took is dirty again.
void LocalFileSystem::PutBack(Inode& inode, Pending& pending) {
  FileData& data = *inode.data;
  for (auto& [index, chunk] : data.chunks) chunk.storing = false;
  for (auto& [index, map] : pending.maps) {
    if (auto chunk = data.chunks.find(index); chunk != data.chunks.end()) {
      chunk->second.map_dirty = true;
    }
  }
  for (auto& [index, file] : pending.files) {
    auto chunk = data.chunks.find(index);
    if (chunk == data.chunks.end() || chunk->second.unsynced) continue;
    chunk->second.unsynced = file;
    ++unsynced_files_;
  }
}

Result<Store::Ticket> LocalFileSystem::StorePending(Inode& inode, Pending& pending,
                                                    const Addition& also) {
  Batch batch(store_);
  std::string key = InodeKey(number_, inode.number);
  if (pending.cut_from && inode.stored.place == Place::kChunks) {
    batch.DeleteRange(Table::kChunks, ChunkKey(number_, inode.number, *pending.cut_from),
                      After(key));
    if (inode.record.shares) TRY(DropShares(batch, inode, *pending.cut_from));
  }
  for (auto& change : pending.shares) PutShares(batch, inode.number, change);
  for (auto& [index, map] : pending.maps) {
    std::string chunk = ChunkKey(number_, inode.number, index);
    if (map.empty()) {
      batch.Delete(Table::kChunks, chunk);
    } else {
      batch.Put(Table::kChunks, chunk, map);
    }
  }
  bool had_bytes = inode.stored.place == Place::kInline && inode.stored.space_used > 0;
  bool has_bytes = pending.inline_bytes && !pending.inline_bytes->empty();
  if (has_bytes) batch.Put(Table::kInline, key, *pending.inline_bytes);
  bool lost_bytes = pending.state.place == Place::kChunks || (pending.inline_bytes && !has_bytes);
  if (had_bytes && lost_bytes) batch.Delete(Table::kInline, key);

  auto growth = static_cast<int64_t>(pending.state.space_used - inode.stored.space_used);
  realms_.Charge(batch, inode.record.realm, growth, 0);
  bool again = inode.dirty;  // written while the chunk files were synced
  DataState before = std::exchange(inode.stored, pending.state);
  uint64_t change_before = inode.change_stored;
  inode.change_stored = inode.record.change + (again ? kChangesReserved : 0);
  PutInode(batch, inode, inode.StoredForm());
  if (also) also(batch);
  auto ticket = store_.Write(batch);
  if (!ticket) {
    inode.stored = before;
    inode.change_stored = change_before;
    return ticket;
  }
  inode.ticket = *ticket;
  if (inode.data) {
    inode.data->cut_from.reset();
    for (auto& [index, chunk] : inode.data->chunks) chunk.storing = false;
    NoteShares(inode, pending.shares);
  }
  return ticket;
}

Result<Store::Ticket> LocalFileSystem::FlushOne(const InodePtr& inode) {
  std::lock_guard flush(inode->flush_mutex);
  return Flush(inode);
}

Result<Store::Ticket> LocalFileSystem::Flush(const InodePtr& inode, const Addition& also) {
  std::unique_lock lock(inode->mutex);
  return FlushLocked(inode, &lock, also);
}

Result<Store::Ticket> LocalFileSystem::FlushLocked(const InodePtr& inode,
                                                   std::unique_lock<std::shared_mutex>* lock,
                                                   const Addition& also) {
  if (inode->gone) return *inode->gone;
  if (!inode->dirty) return inode->ticket;
  Pending pending;
  TakePending(*inode, pending);
  Result<void> synced;
  if (!pending.files.empty()) {
    // Writers make the file dirty again meanwhile, and then it stays so.
    inode->dirty = false;
    if (lock != nullptr) lock->unlock();
    for (auto& [index, file] : pending.files) {
      synced = file->Sync();
      if (!synced) break;
    }
    if (lock != nullptr) lock->lock();
    if (inode->gone) return *inode->gone;
  } else {
    inode->dirty = false;
  }
  auto ticket = synced ? StorePending(*inode, pending, also) : Result<Ticket>(synced.error());
  if (!ticket) {
    if (inode->data) PutBack(*inode, pending);
    inode->dirty = true;
    // The kernel may have dropped pages that it could not write, so writers must send them again.
    if (!synced) ++verifier_;
    spdlog::error("file system {}: inode {} could not be written back: {}", number_, inode->number,
                  ticket.error().ToString());
    std::lock_guard dirty(dirty_mutex_);
    dirty_[inode->number] = {inode, clock_.Monotonic()};
    return ticket;
  }
  if (!inode->dirty) {
    inode->dirty = true;  // for Undirty, which also takes it from the list
    Undirty(*inode);
  }
  return ticket;
}

Result<void> LocalFileSystem::FlushAll() {
  std::vector<InodePtr> all;
  {
    std::lock_guard lock(dirty_mutex_);
    for (auto& [number, dirty] : dirty_) all.push_back(dirty.inode);
  }
  Result<void> status;
  for (auto& inode : all) {
    auto ticket = FlushOne(inode);
    if (!ticket && ticket.code() != Code::kStale) status = ticket.error();
  }
  TRY(std::move(status));
  return store_.Sync(store_.Latest());
}

// --- change of size ---

Result<LocalFileSystem::Cut> LocalFileSystem::Resize(Inode& inode, uint64_t size) {
  if (!inode.data) inode.data = std::make_unique<FileData>();
  if (size < inode.record.size) return Shrink(inode, size);
  TRY(ZeroTail(inode, size));
  inode.record.size = size;
  return Cut{};
}

Result<LocalFileSystem::Cut> LocalFileSystem::Shrink(Inode& inode, uint64_t size) {
  InodeRecord& record = inode.record;
  Cut cut;
  uint64_t space = 0;
  if (record.place == Place::kInline) {
    TRY(LoadInline(inode));
    std::string& bytes = *inode.data->inline_bytes;
    if (size < bytes.size()) {
      dirty_bytes_ -= bytes.size() - size;
      bytes.resize(size);
    }
    space = (bytes.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  } else {
    uint64_t kept = (size + kChunkBytes - 1) / kChunkBytes;  // chunks
    uint64_t freed = 0;
    if (size % kChunkBytes != 0) {
      TRY(FileData::Chunk * last, LoadChunk(inode, size / kChunkBytes));
      uint64_t blocks = (size % kChunkBytes + kBlockBytes - 1) / kBlockBytes;
      freed += last->Clear(blocks, kChunkBlocks);
      last->map_dirty = true;
      cut.push_back(size / kChunkBytes);
    }
    TRY(uint64_t dropped, DropChunks(inode, kept, cut));
    freed += dropped;
    space = record.space_used - freed * kBlockBytes;
    if (kept == 0) {  // empty files begin anew in the database
      record.place = Place::kInline;
      inode.data->inline_bytes.emplace();
    }
  }
  auto freed = static_cast<int64_t>(record.space_used - space);
  (void)realms_.Charge(record.realm, -freed, 0);
  record.space_used = space;
  record.size = size;
  return cut;
}

// Forgets the chunks from `first` on; the number of blocks that were not holes.
Result<uint64_t> LocalFileSystem::DropChunks(Inode& inode, uint64_t first, Cut& cut) {
  FileData& data = *inode.data;
  uint64_t blocks = 0;
  uint64_t stored_end = data.cut_from.value_or(~uint64_t{0});
  if (inode.stored.place == Place::kChunks && first < stored_end) {
    Result<void> status;
    std::string key = InodeKey(number_, inode.number);
    TRY(store_.Scan(Table::kChunks, ChunkKey(number_, inode.number, first), After(key),
                    [&](std::string_view at, std::string_view value) {
                      uint64_t index = NumberAt(at, 12);
                      if (index >= stored_end) return false;
                      if (data.chunks.contains(index)) return true;
                      auto row = ChunkRow::Decode(value);
                      if (!row) status = row.error();
                      if (row) blocks += row->Count(0, kChunkBlocks);
                      cut.push_back(index);
                      return row.ok();
                    }));
    TRY(std::move(status));
  }
  for (auto at = data.chunks.lower_bound(first); at != data.chunks.end();) {
    blocks += at->second.Count(0, kChunkBlocks);
    RemoveUnstored(at->second);
    unsynced_files_ -= at->second.unsynced ? 1 : 0;
    cut.push_back(at->first);
    at = data.chunks.erase(at);
  }
  data.cut_from = std::min(first, stored_end);
  return blocks;
}

// After the cut is durable: what is a hole takes no room. A chunk that was written again meanwhile
// keeps its file: what is not in its map stays a hole.
void LocalFileSystem::RemoveCutFiles(Inode& inode, const Cut& cut) {
  constexpr size_t kFilesPerLock = 64;
  for (size_t from = 0; from < cut.size(); from += kFilesPerLock) {
    std::unique_lock lock(inode.mutex);
    if (inode.gone || !inode.data) return;
    for (size_t i = from; i < std::min(from + kFilesPerLock, cut.size()); ++i) {
      auto chunk = LoadChunk(inode, cut[i]);
      if (!chunk) return;
      uint64_t end = (*chunk)->map.End();
      ChunkId id = OwnFile(inode, cut[i], **chunk);
      if (id.inode == 0) continue;
      if (end == 0 && !(*chunk)->unsynced) {
        (void)chunks_.Remove(id);
      } else if (auto file = chunks_.Open(id, false); file && *file) {
        (void)(*file)->TrimTo((*chunk)->map);
      }
    }
  }
}

}  // namespace tarn::local
