// From memory to the database: the order that makes a file's data durable.
//
// 1. Under the inode's lock: what is to be stored is copied (Pending), and the file counts as
// clean.
// 2. Without it: the chunk files that were written in place are synced; often there are none. 3.
// Under it again: one batch stores size, block maps, checksums, images for the journal, small
// bytes, and the change of usage. So the database never speaks of bytes that are not on the disk.
// flush_mutex is held over all of it: there is one such run a file at a time.
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
  struct Row {
    uint64_t index = 0;
    std::string bytes;  // empty: none is left
    ChunkMap map;       // of the own file
  };
  std::vector<Row> maps;
  struct Image {
    uint64_t index = 0;
    uint64_t block = 0;
    BlockImage image;  // nullptr: its row goes
  };
  std::vector<Image> images;
  struct Sums {
    ChunkId file;
    uint64_t region = 0;
    RegionSums sums;
  };
  std::vector<Sums> sums;  // as they are stored
  struct File {
    uint64_t index = 0;
    std::shared_ptr<ChunkFile> file;
    uint64_t failed_syncs = 0;  // when it was first written to
    bool Lost() const { return file->failed_syncs() != failed_syncs; }
  };
  std::vector<File> files;
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
    for (auto& [index, chunk] : inode.data->chunks) {
      unsynced_files_ -= chunk.unsynced ? 1 : 0;
      ForgetImages(inode, chunk);
    }
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
  uint64_t next = NextChange(inode.record.change);
  if (next <= inode.change_stored) return Ok();
  uint64_t before = inode.change_stored;
  inode.change_stored = next + kChangesReserved;
  Batch batch(store_);
  PutInode(batch, inode, inode.StoredForm());
  auto ticket = store_.Write(batch);
  Result<void> kept = ticket ? store_.Flush() : ticket.error();
  if (!kept) inode.change_stored = before;
  return kept;
}

void LocalFileSystem::TakeImages(FileData& data, Pending& pending) {
  for (auto [index, block] : std::exchange(data.changed_images, {})) {
    JournalBlock* entry = data.FindImage(index, block);
    if (entry == nullptr) continue;
    bool row_goes = entry->logged && !entry->image;
    if (entry->storing || (!entry->dirty && !row_goes)) continue;
    pending.images.push_back({index, block, entry->image});
    entry->storing = true;
    entry->dirty = false;
    data.chunks.at(index).storing = true;
  }
  data.dirty_images = 0;
}

void LocalFileSystem::TakePending(Inode& inode, Pending& pending) {
  pending.state = {inode.record.size, inode.record.space_used, inode.record.place};
  if (!inode.data) return;
  for (auto& [index, chunk] : inode.data->chunks) {
    if (chunk.map_dirty) {
      bool empty = chunk.Empty();
      pending.maps.push_back({index, empty ? "" : chunk.Encode(), chunk.map});
      if (chunk.sharing) TakeShares(index, chunk, empty, pending.shares);
    }
    chunk.storing = chunk.map_dirty || chunk.unsynced;
    chunk.map_dirty = false;
    if (chunk.unsynced) {
      pending.files.push_back({index, std::move(chunk.unsynced), chunk.failed_syncs});
      --unsynced_files_;
    }
    chunk.unsynced = nullptr;
    chunk.storing_sums = std::move(chunk.sums);
    chunk.sums.clear();
  }
  TakeImages(*inode.data, pending);
  pending.cut_from = inode.data->cut_from;
  if (pending.state.place == Place::kInline) {
    pending.inline_bytes = inode.data->inline_bytes;
  }
}

// The flush failed: what it took is dirty again.
void LocalFileSystem::PutBack(Inode& inode, Pending& pending) {
  FileData& data = *inode.data;
  for (auto& [index, chunk] : data.chunks) {
    chunk.storing = false;
    for (auto& [region, sums] : std::exchange(chunk.storing_sums, {})) {
      sums.Add(chunk.sums[region]);
      chunk.sums[region] = sums;
    }
  }
  for (auto& [index, block, image] : pending.images) {
    JournalBlock* entry = data.FindImage(index, block);
    if (entry == nullptr) continue;
    entry->storing = false;
    if (entry->image) {
      data.SetDirty(index, block, *entry);
    } else if (entry->logged) {
      data.changed_images.emplace_back(index, block);
    } else {
      ForgetImage(data, index, block);  // written in place or freed meanwhile
    }
  }
  for (auto& [index, bytes, map] : pending.maps) {
    if (auto chunk = data.chunks.find(index); chunk != data.chunks.end()) {
      chunk->second.map_dirty = true;
    }
  }
  for (auto& pended : pending.files) {
    auto chunk = data.chunks.find(pended.index);
    if (chunk == data.chunks.end()) continue;
    if (pended.Lost()) chunk->second.lost = data.lost = true;
    if (chunk->second.unsynced) continue;
    chunk->second.unsynced = pended.file;
    chunk->second.failed_syncs = pended.failed_syncs;
    ++unsynced_files_;
  }
}

// The chunk's row goes; so do the sums of its file, unless others may use that.
Result<void> LocalFileSystem::DropSums(Batch& batch, const Inode& inode, uint64_t index) {
  auto chunk = inode.data->chunks.find(index);
  if (chunk == inode.data->chunks.end()) {  // it was cut off meanwhile
    batch.Put(Table::kMeta, UnsharedKey(number_, inode.number, index), "");
    return Ok();
  }
  if (chunk->second.sharing) return Ok();  // TakeShares marked it
  return sums_.Delete(batch, {number_, inode.number, index});
}

// Maps, sums and images.
Result<void> LocalFileSystem::StoreChunks(Batch& batch, Inode& inode, Pending& pending) {
  std::string end = After(InodeKey(number_, inode.number));
  if (pending.cut_from && inode.stored.place == Place::kChunks) {
    std::string first = ChunkKey(number_, inode.number, *pending.cut_from);
    batch.DeleteRange(Table::kChunks, first, end);
    // A clone may use a file that is named after one of the chunks, see RemoveCutFiles.
    if (!inode.record.shares) batch.DeleteRange(Table::kSums, first, end);
    if (inode.data->cut_journal) batch.DeleteRange(Table::kJournal, first, end);
    if (inode.record.shares) TRY(DropShares(batch, inode, *pending.cut_from));
  }
  for (auto& change : pending.shares) PutShares(batch, inode.number, change);
  for (auto& [index, bytes, map] : pending.maps) {
    std::string chunk = ChunkKey(number_, inode.number, index);
    if (bytes.empty()) {
      batch.Delete(Table::kChunks, chunk);
      TRY(DropSums(batch, inode, index));
    } else {
      batch.Put(Table::kChunks, chunk, bytes);
    }
  }
  for (auto& [index, block, image] : pending.images) {
    auto key = JournalKey(number_, inode.number, index, static_cast<uint32_t>(block));
    if (image) {
      batch.Put(Table::kJournal, key, EncodeImage(image));
    } else {
      batch.Delete(Table::kJournal, key);
    }
  }
  if (!inode.data) return Ok();
  for (auto& [index, chunk] : inode.data->chunks) {
    ChunkId file = OwnFile(inode, index, chunk);
    if (file.inode == 0) continue;  // it lost all of it
    auto emptied = [at = index](const auto& map) { return map.index == at && map.bytes.empty(); };
    if (std::ranges::any_of(pending.maps, emptied)) continue;
    for (auto& [region, added] : chunk.storing_sums) {
      RegionSums sums = added;
      if (~added.known != 0) {
        TRY(sums, sums_.Of(file, region));
        sums.Add(added);
      }
      BlockSums::Put(batch, file, region, sums);
      pending.sums.push_back({file, region, sums});
    }
  }
  return Ok();
}

// The batch is written: what memory knows follows.
void LocalFileSystem::NoteStored(const InodePtr& inode, Pending& pending) {
  for (auto& [file, region, sums] : pending.sums) sums_.Stored(file, region, sums);
  if (!inode->data) return;
  FileData& data = *inode->data;
  data.cut_from.reset();
  data.cut_journal = false;
  NoteShares(*inode, pending.shares);
  for (auto& [index, bytes, map] : pending.maps) {
    if (auto chunk = data.chunks.find(index); chunk != data.chunks.end()) {
      chunk->second.stored = std::move(map);
    }
  }
  bool logged = false;
  for (auto& [index, chunk] : data.chunks) {
    chunk.storing = false;
    chunk.storing_sums.clear();
  }
  for (auto& [index, block, image] : pending.images) {
    JournalBlock* entry = data.FindImage(index, block);
    if (entry == nullptr) continue;
    entry->storing = false;
    entry->logged = image != nullptr;
    logged = logged || image;
    if (!entry->image && !entry->logged) ForgetImage(data, index, block);
  }
  if (!logged) return;
  {
    std::lock_guard journaled(dirty_mutex_);
    journaled_[inode->number] = inode;
  }
  if (journal_.bytes > options_.journal_bytes / 2) wake_();
}

Result<Store::Ticket> LocalFileSystem::StorePending(const InodePtr& pointer, Pending& pending,
                                                    const Addition& also) {
  Inode& inode = *pointer;
  Batch batch(store_);
  std::string key = InodeKey(number_, inode.number);
  TRY(StoreChunks(batch, inode, pending));
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
  NoteStored(pointer, pending);
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
  TRY(MendLost(*inode));
  Pending pending;
  TakePending(*inode, pending);
  Result<void> synced;
  if (!pending.files.empty()) {
    // Writers make the file dirty again meanwhile, and then it stays so.
    inode->dirty = false;
    if (lock != nullptr) lock->unlock();
    for (auto& pended : pending.files) {
      synced = pended.file->Sync();
      // Somebody else's may have failed before, and taken the error with it.
      if (synced && pended.Lost()) synced = Error(Code::kIo, "an earlier sync of its bytes failed");
      if (!synced) break;
    }
    if (lock != nullptr) lock->lock();
    if (inode->gone) return *inode->gone;
  } else {
    inode->dirty = false;
  }
  auto ticket = synced ? StorePending(inode, pending, also) : Result<Ticket>(synced.error());
  if (!ticket) {
    if (inode->data) PutBack(*inode, pending);
    inode->dirty = true;
    if (!synced) NoteLoss(*inode);
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

void LocalFileSystem::Abandon() {
  std::vector<InodePtr> all;
  {
    std::lock_guard lock(dirty_mutex_);
    for (auto& [number, dirty] : dirty_) all.push_back(dirty.inode);
    for (auto& [number, inode] : journaled_) all.push_back(inode);
  }
  for (auto& inode : all) {
    std::unique_lock lock(inode->mutex);
    inode->gone = Error(Code::kStale);
    Undirty(*inode);
  }
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
      DropImages(inode, size / kChunkBytes, *last, blocks, kChunkBlocks);
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
    ForgetImages(inode, at->second);
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
