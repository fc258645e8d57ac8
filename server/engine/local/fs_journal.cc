// The journal: small writes are stored as images of their blocks in the database, so one sync of
// its log makes them durable together with size and map, and those who wait share it. They are read
// from memory. In the background they go to their chunk files, and are forgotten when those are
// synced. After a crash the journal is read again, so a block that was torn then is written again.
//
// Bounds: a file has at most kImagesPerFile images that are not stored yet, all files together at
// most LocalOptions::journal_bytes of images and rows. What does not fit is written in place.
#include <algorithm>
#include <cstring>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

// 64 KiB at any offset.
constexpr uint64_t kImagesPerFile = 17;
// Applied at once, in one file; and under one lock.
constexpr size_t kApplyMax = 4096;
constexpr size_t kApplyPerLock = 16;    // system calls
constexpr size_t kFinishPerLock = 128;  // rows of one batch

constexpr char kImageVersion = 1;

}  // namespace

std::string EncodeImage(const BlockImage& image) {
  std::string row(1 + kBlockBytes, kImageVersion);
  std::memcpy(row.data() + 1, image->data(), kBlockBytes);
  return row;
}

bool IsImage(std::string_view row) {
  return row.size() == 1 + kBlockBytes && row[0] == kImageVersion;
}

BlockImage DecodeImage(std::string_view row) {
  if (!IsImage(row)) return nullptr;
  auto image = std::make_shared<BlockImage::element_type>();
  std::memcpy(image->data(), row.data() + 1, kBlockBytes);
  return image;
}

// How a write is to go. Changes nothing.
Result<LocalFileSystem::WritePlan> LocalFileSystem::PlanWrite(Inode& inode, uint64_t offset,
                                                              uint64_t bytes) {
  WritePlan plan;
  if (inode.record.place == Place::kInline && offset + bytes <= kInlineBytesMax) return plan;
  uint64_t index = offset / kChunkBytes;
  uint64_t blocks = (offset % kBlockBytes + bytes + kBlockBytes - 1) / kBlockBytes;
  if (inode.record.place == Place::kInline) blocks += kInlineBytesMax / kBlockBytes;
  TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
  FileData& data = *inode.data;
  plan.in_place = chunk->unsynced || data.dirty_images + blocks > kImagesPerFile ||
                  journal_.bytes + blocks * kBlockBytes > options_.journal_bytes ||
                  store_.DiskIsFull(0);
  if (!plan.in_place) return plan;
  auto mark = [&](uint64_t at, const FileData::Chunk& where, uint64_t first, uint64_t after) {
    bool summed = where.stored.Count(first, after) > 0 ||
                  (where.storing && where.map.Count(first, after) > 0);
    if (!summed) return;
    OverwriteMarks::Range range{inode.number, at, first / kRegionBlocks,
                                (after - 1) / kRegionBlocks + 1};
    if (!marks_.Covers(range)) plan.unmarked.push_back(range);
  };
  if (data.dirty_images > 0) {
    for (auto& [at, where] : data.chunks) {
      for (auto& [block, entry] : where.journal) {
        if (entry.dirty) mark(at, where, block, block + 1);
      }
    }
  }
  for (uint64_t end = offset + bytes; offset < end;) {
    TRY(chunk, LoadChunk(inode, offset / kChunkBytes));
    uint64_t part = std::min(end - offset, kChunkBytes - offset % kChunkBytes);
    uint64_t within = offset % kChunkBytes;
    mark(offset / kChunkBytes, *chunk, within / kBlockBytes,
         (within + part + kBlockBytes - 1) / kBlockBytes);
    offset += part;
  }
  return plan;
}

// The images of a file that now is written in place: a COMMIT syncs its chunk files anyway.
Result<void> LocalFileSystem::SpillImages(Inode& inode) {
  for (auto& [index, chunk] : inode.data->chunks) {
    std::vector<std::pair<uint64_t, BlockImage>> images;
    for (auto& [block, entry] : chunk.journal) {
      if (entry.dirty) images.emplace_back(block, entry.image);
    }
    for (auto& [block, image] : images) {
      TRY(WriteInPlace(inode, index, chunk, block * kBlockBytes, *image));
    }
  }
  return Ok();
}

Result<void> LocalFileSystem::WriteImages(Inode& inode, uint64_t index, FileData::Chunk& chunk,
                                          uint64_t within, std::span<const std::byte> data) {
  TRY(NameOwn(index, chunk));
  while (!data.empty()) {
    uint64_t block = within / kBlockBytes;
    size_t skip = within % kBlockBytes;
    auto part = data.first(std::min(data.size(), kBlockBytes - skip));
    auto found = chunk.journal.find(block);
    // Readers are kept out by the lock; flushes and the journal hold a pointer of their own.
    bool own = found != chunk.journal.end() && found->second.dirty && !found->second.storing &&
               found->second.image.use_count() == 1;
    if (own) {
      std::memcpy(found->second.image->data() + skip, part.data(), part.size());
    } else {
      auto image = std::make_shared<BlockImage::element_type>();
      TRY(Merge(inode, index, chunk, block, skip, part, *image));
      JournalBlock& entry = AddImage(chunk, block);
      entry.image = std::move(image);
      inode.data->SetDirty(index, block, entry);
    }
    data = data.subspan(part.size());
    within += part.size();
  }
  return Ok();
}

JournalBlock& LocalFileSystem::AddImage(FileData::Chunk& chunk, uint64_t block) {
  auto [at, added] = chunk.journal.try_emplace(block);
  if (added) journal_.bytes += kBlockBytes;
  return at->second;
}

void LocalFileSystem::ForgetImage(FileData& data, uint64_t index, uint64_t block) {
  data.chunks.at(index).journal.erase(block);
  journal_.bytes -= kBlockBytes;
}

// The blocks were written in place, or freed.
void LocalFileSystem::DropImages(Inode& inode, uint64_t index, FileData::Chunk& chunk,
                                 uint64_t first, uint64_t after) {
  auto at = chunk.journal.lower_bound(first);
  while (at != chunk.journal.end() && at->first < after) {
    JournalBlock& entry = at->second;
    if (entry.dirty) --inode.data->dirty_images;
    entry.dirty = false;
    entry.image = nullptr;
    if (entry.logged || entry.storing) {
      inode.data->changed_images.emplace_back(index, at->first);
      ++at;
    } else {
      at = chunk.journal.erase(at);
      journal_.bytes -= kBlockBytes;
    }
  }
}

// The chunk is forgotten; its rows go with a range (FileData::cut_journal).
void LocalFileSystem::ForgetImages(Inode& inode, FileData::Chunk& chunk) {
  for (auto& [block, entry] : chunk.journal) {
    if (entry.dirty) --inode.data->dirty_images;
    if (entry.logged || entry.storing) inode.data->cut_journal = true;
    journal_.bytes -= kBlockBytes;
  }
  chunk.journal.clear();
}

void LocalFileSystem::DeleteJournal(Batch& batch, const Inode& inode) const {
  if (!inode.data) return;
  if (inode.data->cut_journal) {
    std::string key = InodeKey(number_, inode.number);
    batch.DeleteRange(Table::kJournal, key, After(key));
    return;
  }
  for (auto& [index, chunk] : inode.data->chunks) {
    for (auto& [block, entry] : chunk.journal) {
      if (!entry.logged) continue;
      batch.Delete(Table::kJournal,
                   JournalKey(number_, inode.number, index, static_cast<uint32_t>(block)));
    }
  }
}

// What the last run left: it is in memory before anybody reads. Where a block of the table is
// damaged nobody knows which rows it had, so the files around it are not served: newer bytes may be
// lost. All others are.
Result<void> LocalFileSystem::LoadJournal() {
  Batch batch(store_);
  size_t rows = 0;
  std::optional<uint64_t> lost;  // since here no row was read
  uint64_t from = 0;             // inode
  for (uint64_t step = 1;; step *= 2) {
    uint64_t last = from;
    bool any = false;
    Result<void> status;
    auto scanned =
        store_.Scan(Table::kJournal, InodeKey(number_, from), After(FileSystemPrefix(number_)),
                    [&](std::string_view key, auto value) {
                      status = LoadImage(key, value, batch);
                      last = NumberAt(key, 4);
                      any = true;
                      ++rows;
                      return status.ok();
                    });
    TRY(std::move(status));
    bool ends = scanned.ok() || from >= next_number_;
    if (!scanned && scanned.code() != Code::kCorrupt) return scanned;
    if (lost && (any || ends)) {
      LoseJournal(*lost, from);
      lost.reset();
      step = 1;
    }
    if (ends) break;
    if (!lost) lost = last;
    from = std::min(last + std::max<uint64_t>(step / 2, 1), next_number_);
  }
  if (rows > 0) spdlog::info("file system {}: {} blocks are in the journal", number_, rows);
  if (batch.empty()) return Ok();
  return store_.WriteAndSync(batch);
}

void LocalFileSystem::LoseJournal(uint64_t first, uint64_t after) {
  journal_lost_.emplace_back(first, after);
  // What was read of them is part of a whole.
  std::erase_if(journaled_, [&](const auto& entry) {
    if (entry.first < first || entry.first >= after) return false;
    for (auto& [index, chunk] : entry.second->data->chunks) {
      journal_.bytes -= chunk.journal.size() * kBlockBytes;
    }
    entry.second->data.reset();
    return true;
  });
  spdlog::error(
      "file system {}: inodes {} to {}: the journal is damaged, and may have had blocks of them: "
      "what lies in chunk files is not served; remove it and restore it from a backup",
      number_, first, after - 1);
}

Result<void> LocalFileSystem::CheckJournal(const Inode& inode) const {
  for (auto [first, after] : journal_lost_) {
    if (inode.number < first || inode.number >= after) continue;
    return Error(Code::kCorrupt, "inode " + std::to_string(inode.number) +
                                     ": the journal is damaged, and may have had blocks of it");
  }
  return Ok();
}

Result<void> LocalFileSystem::LoadImage(std::string_view key, std::string_view value,
                                        Batch& batch) {
  uint64_t number = NumberAt(key, 4);
  // An error of that file alone: its row stays for fsck.
  auto unread = [this, number](const Error& error) {
    spdlog::error("file system {}: inode {}: its journal is not read: {}", number_, number,
                  error.ToString());
    return Ok();
  };
  auto at = DecodePartKey(key);
  BlockImage image = DecodeImage(value);
  if (!at || at->part >= kChunkBlocks || !image) {
    return unread(Error(Code::kCorrupt, "a block of it cannot be understood"));
  }
  uint64_t index = at->index;
  uint64_t block = at->part;
  auto inode = cache_.Find(number);
  if (inode.code() == Code::kStale) {
    batch.Delete(Table::kJournal, std::string(key));
    return Ok();
  }
  if (!inode) return unread(inode.error());
  std::unique_lock lock((*inode)->mutex);
  auto loaded = LoadChunk(**inode, index);
  if (!loaded) return unread(loaded.error());
  FileData::Chunk* chunk = *loaded;
  if (!chunk->map.Has(block)) {
    spdlog::warn("file system {}: inode {}: the journal has block {} of chunk {}, its map has not",
                 number_, number, block, index);
    batch.Delete(Table::kJournal, std::string(key));
    return Ok();
  }
  AddImage(*chunk, block) = {std::move(image), false, false, true};
  std::lock_guard journaled(dirty_mutex_);
  journaled_[number] = *inode;
  return Ok();
}

// --- to the chunk files ---

struct LocalFileSystem::Applied {
  uint64_t index = 0;
  uint64_t block = 0;
  BlockImage image;
  std::shared_ptr<ChunkFile> file;  // nullptr: not written

  // Is it still what the journal has?
  const JournalBlock* Current(const Inode& inode) const {
    if (!inode.data) return nullptr;
    const JournalBlock* entry = inode.data->FindImage(index, block);
    return entry != nullptr && entry->image == image ? entry : nullptr;
  }
};

void LocalFileSystem::MaintainJournal(const std::atomic<bool>& stop) {
  auto now = clock_.Monotonic();
  bool full = journal_.bytes > options_.journal_bytes / 4;
  if (full || now - applied_at_ >= options_.journal_apply_after) {
    applied_at_ = now;
    auto applied = ApplyJournal(stop);
    if (!applied) {
      spdlog::warn("file system {}: the journal waits: {}", number_, applied.error().ToString());
    }
  }
  Unmark();
}

Result<void> LocalFileSystem::ApplyJournal(const std::atomic<bool>& stop) {
  std::vector<InodePtr> all;
  {
    std::lock_guard lock(dirty_mutex_);
    for (auto& [number, inode] : journaled_) all.push_back(inode);
  }
  if (all.empty()) return Ok();
  for (auto& inode : all) {
    for (bool more = true; more && !stop;) {
      TRY(more, ApplyFile(inode, false));
    }
  }
  return Ok();
}

// The inode's locks are held, and its flush is done.
Result<void> LocalFileSystem::ApplyLocked(const InodePtr& inode) {
  for (bool more = true; more;) {
    TRY(more, ApplyFile(inode, true));
  }
  return Ok();
}

// True: there may be more of it.
Result<bool> LocalFileSystem::ApplyFile(const InodePtr& inode, bool locked) {
  std::vector<Applied> blocks;
  auto shared = [&] {
    return locked ? std::shared_lock<std::shared_mutex>() : std::shared_lock(inode->mutex);
  };
  {
    auto lock = shared();
    if (!inode->gone && inode->data) {
      for (auto& [index, chunk] : inode->data->chunks) {
        for (auto& [block, entry] : chunk.journal) {
          bool ready = entry.image && entry.logged && !entry.dirty && !entry.storing;
          if (ready && blocks.size() < kApplyMax) blocks.push_back({index, block, entry.image, {}});
        }
      }
    }
  }
  bool more = blocks.size() == kApplyMax;
  // A block may be torn once its image is on the disk.
  if (!blocks.empty()) TRY(store_.Sync(store_.Latest()));
  for (size_t from = 0; from < blocks.size(); from += kApplyPerLock) {
    auto lock = shared();  // keeps writers of newer bytes out
    if (inode->gone) break;
    for (size_t i = from; i < std::min(from + kApplyPerLock, blocks.size()); ++i) {
      if (blocks[i].Current(*inode) == nullptr) continue;
      const FileData::Chunk& chunk = inode->data->chunks.at(blocks[i].index);
      std::shared_ptr<ChunkFile> file = chunk.unsynced;  // so that failed syncs are counted there
      if (!file) {
        TRY(file, chunks_.Open(OwnFile(*inode, blocks[i].index, chunk), true));
      }
      TRY(file->Write(blocks[i].block * kBlockBytes, *blocks[i].image));
      blocks[i].file = std::move(file);
    }
  }
  ChunkFile* synced = nullptr;
  for (auto& block : blocks) {
    if (block.file && block.file.get() != synced) TRY(block.file->Sync());
    if (block.file) synced = block.file.get();
  }
  for (size_t from = 0; from < blocks.size(); from += kFinishPerLock) {
    auto part = std::span(blocks).subspan(from);
    TRY(FinishApply(inode, part.first(std::min(part.size(), kFinishPerLock)), locked));
  }
  return more;
}

// The chunk files have them: sums replace the images.
Result<void> LocalFileSystem::FinishApply(const InodePtr& inode, std::span<const Applied> blocks,
                                          bool locked) {
  std::map<std::pair<uint64_t, uint64_t>, RegionSums> sums;  // by chunk and region
  std::vector<const Applied*> done;
  auto lock = locked ? std::unique_lock<std::shared_mutex>() : std::unique_lock(inode->mutex);
  Batch batch(store_);
  for (auto& block : blocks) {
    const JournalBlock* entry = inode->gone ? nullptr : block.Current(*inode);
    if (!block.file || entry == nullptr || entry->storing) continue;
    done.push_back(&block);
    sums[{block.index, block.block / kRegionBlocks}].Set(block.block, Crc32c(*block.image));
    batch.Delete(Table::kJournal, JournalKey(number_, inode->number, block.index,
                                             static_cast<uint32_t>(block.block)));
  }
  auto file_of = [&](uint64_t index) {
    return OwnFile(*inode, index, inode->data->chunks.at(index));
  };
  for (auto& [at, added] : sums) {
    ChunkId id = file_of(at.first);
    TRY(RegionSums all, sums_.Of(id, at.second));
    all.Add(added);
    added = all;
    BlockSums::Put(batch, id, at.second, all);
  }
  if (!batch.empty()) {
    TRY(inode->ticket, store_.Write(batch));
  }
  for (auto& [at, all] : sums) sums_.Stored(file_of(at.first), at.second, all);
  for (const Applied* block : done) {
    ForgetImage(*inode->data, block->index, block->block);
  }
  bool left = false;
  if (!inode->gone && inode->data) {
    for (auto& [index, chunk] : inode->data->chunks) left = left || !chunk.journal.empty();
  }
  std::lock_guard journaled(dirty_mutex_);
  if (!left) journaled_.erase(inode->number);
  return Ok();
}

}  // namespace tarn::local
