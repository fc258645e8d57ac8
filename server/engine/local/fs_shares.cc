// Chunk files that several chunks share: who uses them, reading them, and their end.
//
// The table of shares has a key for each chunk that uses a file, but for own files named after
// their chunks. It changes in the batch that changes the chunk's row. A file that loses a user is
// marked in the same batch, and the engine's thread removes it when it has none left.
#include <algorithm>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

constexpr size_t kMarksPerPass = 128;
// Files with more users are not looked through for blocks that nobody uses.
constexpr size_t kUsersTrimmedMax = 64;

bool Contains(const std::vector<FileRef>& files, const FileRef& file) {
  return std::find(files.begin(), files.end(), file) != files.end();
}

}  // namespace

ChunkId LocalFileSystem::OwnFile(const Inode& inode, uint64_t index, const ChunkRow& chunk) const {
  if (!chunk.sharing) return {number_, inode.number, index};
  return {number_, chunk.sharing->own.inode, chunk.sharing->own.index};
}

Result<void> LocalFileSystem::NameOwn(uint64_t index, FileData::Chunk& chunk) {
  if (!chunk.sharing || chunk.sharing->own.inode != 0) return Ok();
  TRY(uint64_t number, NewNumber());
  chunk.sharing->own = {number, index};
  return Ok();
}

Result<void> LocalFileSystem::OpenOwn(Inode& inode, uint64_t index, FileData::Chunk& chunk) {
  if (chunk.unsynced) return Ok();
  TRY(NameOwn(index, chunk));
  TRY(chunk.unsynced, chunks_.Open(OwnFile(inode, index, chunk), true));
  chunk.failed_syncs = chunk.unsynced->failed_syncs();
  ++unsynced_files_;
  return Ok();
}

// A chunk is dropped: its own file goes with it if the database never heard of that, else by a
// mark.
void LocalFileSystem::RemoveUnstored(const FileData::Chunk& chunk) {
  if (!chunk.sharing || chunk.sharing->own.inode == 0) return;
  FileRef own = chunk.sharing->own;
  if (!Contains(chunk.sharing->stored, own)) (void)chunks_.Remove({number_, own.inode, own.index});
}

// Blocks that are not in the chunk's own file: shared ones and holes.
Result<void> LocalFileSystem::ReadShared(const Inode& inode, uint64_t index, const ChunkRow& chunk,
                                         uint64_t within, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    uint64_t block = within / kBlockBytes;
    uint64_t after = (within + buffer.size() + kBlockBytes - 1) / kBlockBytes;
    const SharedBlocks* part = chunk.SharedOf(block);
    uint64_t run = part != nullptr ? part->map.Run(block, after) : chunk.Run(block, after);
    uint64_t bytes = std::min<uint64_t>((block + run) * kBlockBytes - within, buffer.size());
    auto piece = buffer.first(bytes);
    if (part == nullptr) {
      std::fill(piece.begin(), piece.end(), std::byte{0});
    } else {
      FileView view{
          {number_, part->file.inode, part->file.index}, inode.number, index, part->delta, nullptr};
      TRY(ReadFile(view, within, piece));
    }
    buffer = buffer.subspan(bytes);
    within += bytes;
  }
  return Ok();
}

void LocalFileSystem::TakeShares(uint64_t index, FileData::Chunk& chunk, bool empty,
                                 std::vector<ShareChange>& changes) const {
  Sharing& sharing = *chunk.sharing;
  std::vector<FileRef> before = sharing.stored;
  // Its row and with it its file go, stored or not, so the next write needs another one.
  if (empty && sharing.own.inode != 0) {
    if (!Contains(before, sharing.own)) before.push_back(sharing.own);
    sharing.own = {};
  }
  ShareChange change{index, chunk.Files(), std::move(before), {}};
  if (sharing.lost) {
    for (const SharedBlocks& part : sharing.shared) change.trim.push_back(part.file);
  }
  sharing.lost = false;
  changes.push_back(std::move(change));
}

void LocalFileSystem::PutShares(Batch& batch, uint64_t inode, const ShareChange& change) const {
  auto mark = [&](const FileRef& file) {
    batch.Put(Table::kMeta, UnsharedKey(number_, file.inode, file.index), "");
  };
  for (const FileRef& file : change.before) {
    if (Contains(change.now, file)) continue;
    std::string key = ChunkKey(number_, file.inode, file.index);
    batch.Delete(Table::kShares, ShareKey(key, inode, change.index));
    mark(file);
  }
  for (const FileRef& file : change.now) {
    if (Contains(change.before, file)) continue;
    std::string key = ChunkKey(number_, file.inode, file.index);
    batch.Put(Table::kShares, ShareKey(key, inode, change.index), "");
  }
  for (const FileRef& file : change.trim) mark(file);
}

void LocalFileSystem::NoteShares(Inode& inode, const std::vector<ShareChange>& changes) {
  for (const ShareChange& change : changes) {
    auto chunk = inode.data->chunks.find(change.index);
    if (chunk == inode.data->chunks.end() || !chunk->second.sharing) continue;
    chunk->second.sharing->stored = change.now;
  }
}

Result<void> LocalFileSystem::DropShares(Batch& batch, const Inode& inode, uint64_t first) {
  std::string key = InodeKey(number_, inode.number);
  return store_.Scan(Table::kChunks, ChunkKey(number_, inode.number, first), After(key),
                     [&](std::string_view at, std::string_view value) {
                       uint64_t index = NumberAt(at, key.size());
                       ShareChange change{index, {}, {{inode.number, index}}, {}};
                       auto row = ChunkRow::Decode(value);
                       if (row && row->sharing) change.before = row->sharing->stored;
                       PutShares(batch, inode.number, change);
                       return true;
                     });
}

Result<bool> LocalFileSystem::IsUsed(const FileRef& file) {
  std::string prefix = ChunkKey(number_, file.inode, file.index);
  bool used = false;
  TRY(store_.Scan(Table::kShares, prefix, After(prefix), [&](std::string_view, std::string_view) {
    used = true;
    return false;
  }));
  if (used) return true;
  // Or it is the own file of the chunk that it is named after.
  TRY(auto row, store_.Get(Table::kChunks, prefix));
  if (!row) return false;
  auto chunk = ChunkRow::Decode(*row);
  return !chunk || !chunk->sharing;
}

// A chunk starts to use a file only by a clone of one that does, so a file without users stays so.
Result<bool> LocalFileSystem::ReclaimShared(const std::atomic<bool>& stop) {
  std::string prefix = MetaPrefix('S', number_);
  std::vector<FileRef> files;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, std::string_view) {
    files.push_back({NumberAt(key, prefix.size()), NumberAt(key, prefix.size() + 8)});
    return files.size() < kMarksPerPass;
  }));
  if (files.empty()) return false;
  for (const FileRef& file : files) {
    if (stop) break;
    std::lock_guard lock(unshared_mutex_);
    TRY(bool used, IsUsed(file));
    if (!used) {
      TRY(RemoveUnused({number_, file.inode, file.index}));
      continue;
    }
    // The mark goes before its users are looked at: what a chunk loses from then on marks the file
    // again. A crash in between leaves the file to RemoveStrayChunks.
    std::string mark = UnsharedKey(number_, file.inode, file.index);
    Batch batch(store_);
    batch.Delete(Table::kMeta, mark);
    TRY(store_.Write(batch));
    auto freed = FreeShared(file);
    if (freed) continue;
    batch.Clear();
    batch.Put(Table::kMeta, mark, "");
    TRY(store_.Write(batch));
    return freed.error();
  }
  return true;
}

Result<void> LocalFileSystem::FreeShared(const FileRef& file) {
  TRY(bool used, IsUsed(file));
  if (used) return TrimShared(file);
  return RemoveUnused({number_, file.inode, file.index});
}

// Gives the disk the blocks that none of the file's users uses. Nobody can use them again: clones
// take only what their source has.
Result<void> LocalFileSystem::TrimShared(const FileRef& file) {
  auto snapshot = store_.TakeSnapshot();
  TRY(store_.Sync(store_.Latest()));  // a crash must not bring back a user of what goes now
  std::string prefix = ChunkKey(number_, file.inode, file.index);
  std::vector<std::string> users;
  TRY(store_.Scan(
      Table::kShares, prefix, After(prefix),
      [&](std::string_view key, std::string_view) {
        users.push_back(
            ChunkKey(number_, NumberAt(key, prefix.size()), NumberAt(key, prefix.size() + 8)));
        return users.size() <= kUsersTrimmedMax;
      },
      snapshot.get()));
  if (users.empty() || users.size() > kUsersTrimmedMax) return Ok();
  ChunkMap used;
  for (const std::string& user : users) {
    TRY(auto stored, store_.Get(Table::kChunks, user, snapshot.get()));
    if (!stored) return Ok();
    TRY(ChunkRow row, ChunkRow::Decode(*stored));
    if (!row.sharing || row.sharing->own == file) return Ok();  // it is being written
    for (const SharedBlocks& part : row.sharing->shared) {
      if (part.file != file) continue;
      for (uint64_t at = 0; at < kChunkBlocks;) {
        uint64_t run = part.map.Run(at, kChunkBlocks);
        auto first = static_cast<uint64_t>(static_cast<int64_t>(at) + part.delta);
        if (part.map.Has(at)) used.Set(first, first + run);
        at += run;
      }
    }
  }
  TRY(auto open, chunks_.Open({number_, file.inode, file.index}, false));
  if (!open) return Ok();
  return open->TrimTo(used);
}

}  // namespace tarn::local
