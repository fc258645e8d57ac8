// Marks of overwrites: after a crash, and when nobody needs them any more.
#include <utility>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {

// Bytes that were being written over may be new ones, while the stored change attribute is still
// the one that clients know with the old: a stable write stores it when it is done. So these files
// get another, before anybody asks.
Result<void> LocalFileSystem::RenewMarked() {
  Batch batch(store_);
  uint64_t last = 0;
  for (auto& marked : marks_.Crashed()) {
    if (std::exchange(last, marked.inode) == marked.inode) continue;
    auto inode = cache_.Find(marked.inode);
    if (!inode) continue;
    std::unique_lock lock((*inode)->mutex);
    if ((*inode)->gone) continue;
    InodeRecord& record = (*inode)->record;
    record.change = (*inode)->change_stored = NextChange(record.change);
    PutInode(batch, **inode, (*inode)->StoredForm());
  }
  if (batch.empty()) return Ok();
  return store_.WriteAndSync(batch);
}

void LocalFileSystem::SettleOverwrites(const std::atomic<bool>& stop) {
  for (auto& marked : marks_.Crashed()) {
    if (stop) return;
    SettleOverwrite(marked);
  }
}

void LocalFileSystem::SettleOverwrite(const OverwriteMarks::Range& marked) {
  auto inode = cache_.Find(marked.inode);
  for (uint64_t region = 0; inode && region < kChunkRegions; ++region) {
    if (!marks_.FromCrash(marked.inode, marked.index, region)) continue;
    std::lock_guard flush((*inode)->flush_mutex);
    std::unique_lock lock((*inode)->mutex);
    if ((*inode)->gone) break;
    auto settled = SettleRegion(**inode, marked.index, region);
    if (!settled) {
      // Stays marked; the next start tries again.
      spdlog::error("file system {}: inode {}: an overwrite that a crash cut off: {}", number_,
                    marked.inode, settled.error().ToString());
      return;
    }
  }
  if (!inode && inode.code() != Code::kStale) return;
  marks_.Settled(marked.inode, marked.index);
}

// Its locks are held.
Result<void> LocalFileSystem::SettleChunk(Inode& inode, uint64_t index) {
  for (uint64_t region = 0; region < kChunkRegions; ++region) {
    if (marks_.FromCrash(inode.number, index, region)) TRY(SettleRegion(inode, index, region));
  }
  marks_.Settled(inode.number, index);
  return Ok();
}

// Blocks that were written in this run have sums of this run; those in the journal will get theirs.
Result<void> LocalFileSystem::SettleRegion(Inode& inode, uint64_t index, uint64_t region) {
  TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
  uint64_t first = region * kRegionBlocks;
  if (chunk->map.Count(first, first + kRegionBlocks) == 0) return Ok();
  ChunkId id = OwnFile(inode, index, *chunk);
  if (id.inode == 0) return Ok();
  TRY(auto file, chunks_.Open(id, false));
  if (!file) return Ok();  // for fsck
  TRY(RegionSums sums, sums_.Of(id, region));
  auto ours = chunk->sums.find(region);
  uint64_t changed = 0;
  std::array<std::byte, kBlockBytes> buffer;
  for (uint64_t block = first; block < first + kRegionBlocks; ++block) {
    auto entry = chunk->journal.find(block);
    bool in_journal =
        entry != chunk->journal.end() && (entry->second.image || entry->second.logged);
    bool written = ours != chunk->sums.end() && ours->second.Has(block);
    if (!chunk->map.Has(block) || in_journal || written || !sums.Has(block)) continue;
    TRY(file->Read(block * kBlockBytes, buffer));
    uint32_t sum = Crc32c(buffer);
    if (sum == sums.Of(block)) continue;
    sums.Set(block, sum);
    ++changed;
  }
  if (changed == 0) return Ok();
  // What a killed process left may be in the page cache only, and without a mark nothing would say
  // why the disk has something else after a cut of power.
  TRY(file->Sync());
  TRY(sums_.PutAlone(id, region, sums));
  spdlog::warn(
      "file system {}: inode {}: {} blocks at offset {} were being overwritten when the "
      "last run ended; they have new checksums",
      number_, inode.number, changed, index * kChunkBytes + region * kRegionBytes);
  return Ok();
}

void LocalFileSystem::Unmark() {
  for (auto& marked : marks_.Idle()) {
    auto inode = cache_.Find(marked.inode);
    if (!inode && inode.code() != Code::kStale) continue;
    std::shared_lock<std::shared_mutex> lock;
    if (inode) {
      lock = std::shared_lock((*inode)->mutex);
      auto* data = (*inode)->data.get();
      if (data != nullptr) {
        auto chunk = data->chunks.find(marked.index);
        bool busy = chunk != data->chunks.end() && !chunk->second.idle();
        if (busy) continue;
      }
    }
    if (!marks_.Unmark(marked.inode, marked.index)) return;
  }
}

}  // namespace tarn::local
