// After a sync of a chunk file failed. The system may have dropped what waited for it, marks the
// rest as clean, and the next sync succeeds without a word about either. Clients learn of it by the
// write verifier and send again what they had not committed. What was stable must be there all the
// same:
// - Where the database still has it (a small file that was moving to chunks, a row of the journal,
//   a block that a clone shares), the block is taken back to that.
// - Else the chunk file has it. The block is read, gets the sum of what is there now, and is
//   written again, so that what memory shows and what the disk has do not differ for good.
// That is done at once, and if the disk refuses it, before the file's next flush, write, or read of
// what does not fit its sum.
#include <algorithm>
#include <cstring>

#include "server/engine/local/local_file_system.h"

namespace tarn::local {

// What the database says about a chunk whose newer rows could not be stored.
struct LocalFileSystem::StoredChunk {
  uint64_t index = 0;
  bool cut = false;          // its rows are of what was cut off since
  ChunkRow row;              // if it shares
  std::string inline_bytes;  // if it had no chunks
};

// The inode's locks are held, and it stays dirty.
void LocalFileSystem::NoteLoss(Inode& inode) {
  ++verifier_;
  ++inode.losses;
  inode.record.change = NextChange(inode.record.change);
  (void)MendLost(inode);
}

// The inode's lock is held. There is no flush of it between its sync and its batch: they begin with
// this.
Result<void> LocalFileSystem::MendLost(Inode& inode) {
  if (!inode.data || !inode.data->lost) return Ok();
  for (auto& [index, chunk] : inode.data->chunks) {
    if (chunk.lost) TRY(MendChunk(inode, index, chunk));
  }
  inode.data->lost = false;
  return Ok();
}

Result<void> LocalFileSystem::MendChunk(Inode& inode, uint64_t index, FileData::Chunk& chunk) {
  StoredChunk before{.index = index, .cut = false, .row = {}, .inline_bytes = {}};
  before.cut = inode.data->cut_from && index >= *inode.data->cut_from;
  if (index == 0) {
    TRY(before.inline_bytes, StoredInline(inode));
  }
  if (chunk.sharing && !before.cut) {
    TRY(auto row, store_.Get(Table::kChunks, ChunkKey(number_, inode.number, index)));
    if (row) {
      TRY(before.row, ChunkRow::Decode(*row));
    }
  }
  TRY(OpenOwn(inode, index, chunk));
  uint64_t failed = chunk.unsynced->failed_syncs();
  for (auto& [region, sums] : chunk.sums) {
    for (uint64_t i = 0; i < kRegionBlocks; ++i) {
      if (sums.Has(i)) TRY(MendBlock(inode, before, chunk, region * kRegionBlocks + i));
    }
  }
  chunk.failed_syncs = failed;
  chunk.lost = false;
  return Ok();
}

// A block that was written in place since the last flush that succeeded.
Result<void> LocalFileSystem::MendBlock(Inode& inode, const StoredChunk& before,
                                        FileData::Chunk& chunk, uint64_t block) {
  auto entry = chunk.journal.find(block);
  if (entry != chunk.journal.end() && entry->second.image) return Ok();  // memory has all of it
  if (!chunk.map.Has(block)) return Ok();
  RegionSums& sums = chunk.sums[block / kRegionBlocks];
  TRY(bool taken, TakeStored(inode, before, chunk, block));
  if (taken) {
    sums.Forget(block);
    return Ok();
  }
  std::array<std::byte, kBlockBytes> bytes{};
  auto read = chunk.unsynced->Read(block * kBlockBytes, bytes);
  if (!read && read.code() != Code::kCorrupt) return read;  // kCorrupt: not even its room is there
  sums.Set(block, Crc32c(bytes));
  return chunk.unsynced->Write(block * kBlockBytes, bytes);
}

// False: its stable bytes, if there are any, are in the own chunk file.
Result<bool> LocalFileSystem::TakeStored(Inode& inode, const StoredChunk& before,
                                         FileData::Chunk& chunk, uint64_t block) {
  auto entry = chunk.journal.find(block);
  bool logged = entry != chunk.journal.end() && entry->second.logged;
  uint64_t at = block * kBlockBytes;
  if (logged || at < before.inline_bytes.size()) {
    BlockImage image;
    if (logged) {
      auto key = JournalKey(number_, inode.number, before.index, static_cast<uint32_t>(block));
      TRY(auto row, store_.Get(Table::kJournal, key));
      image = row ? DecodeImage(*row) : nullptr;
      if (!image) return Error(Code::kCorrupt, "a block of the journal cannot be understood");
      entry->second.image = std::move(image);
    } else {
      image = std::make_shared<BlockImage::element_type>();
      std::string_view bytes = std::string_view(before.inline_bytes).substr(at, kBlockBytes);
      std::memcpy(image->data(), bytes.data(), bytes.size());
      JournalBlock& added = AddImage(chunk, block);
      added.image = std::move(image);
      inode.data->SetDirty(before.index, block, added);
    }
    return true;
  }
  const SharedBlocks* shared = before.row.SharedOf(block);
  if (shared == nullptr || !chunk.sharing) return false;
  auto& parts = chunk.sharing->shared;
  auto part = std::ranges::find_if(parts, [&](const SharedBlocks& known) {
    return known.file == shared->file && known.delta == shared->delta;
  });
  if (part == parts.end()) {
    if (parts.size() == kSharedMax) return false;
    part = parts.insert(part, SharedBlocks{shared->file, shared->delta, {}});
  }
  part->map.Set(block, block + 1);
  chunk.map.Clear(block, block + 1);
  chunk.map_dirty = true;
  return true;
}

}  // namespace tarn::local
