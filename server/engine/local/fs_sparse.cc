// Sparse files: reserving, punching holes, finding them.
#include <algorithm>

#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"
#include "server/vfs/ranges.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

// What is reserved or punched under one hold of the file's lock, and in one batch.
constexpr uint64_t kStepBytes = 64 * kChunkBytes;

}  // namespace

Result<void> LocalFileSystem::UsableData(const Caller& caller, Inode& inode, FileId id, bool opened,
                                         uint32_t wanted) const {
  TRY(Usable(caller, inode, id));
  if (inode.IsDirectory()) return Error(Code::kIsDirectory);
  if (inode.record.type != FileType::kRegular) return Error(Code::kInvalid);
  if (wanted == kMayWrite && caller.read_only) return Error(Code::kReadOnly);
  if (opened && inode.pinned()) return Ok();
  return CheckAccess(caller, inode.attributes(), wanted);
}

void LocalFileSystem::DataChanged(const Caller& caller, Inode& inode) const {
  InodeRecord& record = inode.record;
  record.mode = ModeAfterWrite(caller, inode.attributes());
  record.modify_time = record.change_time = Now();
  record.change = NextChange(record.change);
}

Result<std::optional<uint64_t>> LocalFileSystem::NextChunk(Inode& inode, uint64_t index) {
  std::optional<uint64_t> next;
  if (!inode.data) inode.data = std::make_unique<FileData>();
  const FileData& data = *inode.data;
  for (auto at = data.chunks.lower_bound(index); at != data.chunks.end() && !next; ++at) {
    if (!at->second.Empty()) next = at->first;
  }
  if (inode.stored.place != Place::kChunks) return next;
  std::string key = InodeKey(number_, inode.number);
  TRY(store_.Scan(Table::kChunks, ChunkKey(number_, inode.number, index), After(key),
                  [&](std::string_view at, std::string_view) {
                    uint64_t row = NumberAt(at, key.size());
                    if ((next && row >= *next) || (data.cut_from && row >= *data.cut_from)) {
                      return false;
                    }
                    if (data.chunks.contains(row)) return true;  // it was looked at
                    next = row;
                    return false;
                  }));
  return next;
}

Result<uint64_t> LocalFileSystem::InlineBytes(const Inode& inode) {
  if (inode.data && inode.data->inline_bytes) return uint64_t{inode.data->inline_bytes->size()};
  TRY(std::string bytes, StoredInline(inode));
  return uint64_t{bytes.size()};
}

// --- seek ---

Result<SeekResult> LocalFileSystem::SeekChunks(Inode& inode, uint64_t offset, bool data) {
  uint64_t size = inode.record.size;
  while (offset < size) {
    uint64_t index = offset / kChunkBytes;
    TRY(auto next, NextChunk(inode, index));
    if (next != index) {
      if (!data) return SeekResult{offset, false};
      offset = next ? *next * kChunkBytes : size;
      continue;
    }
    TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
    uint64_t block = offset % kChunkBytes / kBlockBytes;
    if (chunk->Has(block) == data) return SeekResult{offset, false};
    offset = index * kChunkBytes + (block + chunk->Run(block, kChunkBlocks)) * kBlockBytes;
  }
  return SeekResult{size, true};
}

Result<SeekResult> LocalFileSystem::Seek(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, ExtentKind what) {
  TRY(InodePtr inode, Find(file));
  std::unique_lock lock(inode->mutex);  // maps may have to be loaded
  TRY(UsableData(caller, *inode, file, opened, kMayRead));
  uint64_t size = inode->record.size;
  if (offset >= size) return Error(Code::kRange, "the offset is not within the file");
  bool data = what == ExtentKind::kData;
  if (inode->record.place == Place::kChunks) return SeekChunks(*inode, offset, data);
  TRY(uint64_t bytes, InlineBytes(*inode));
  uint64_t end = std::min(bytes, size);
  uint64_t found = data ? (offset < end ? offset : size) : std::max(offset, end);
  return SeekResult{found, found == size};
}

// --- allocate ---

Result<uint64_t> LocalFileSystem::CountRange(Inode& inode, uint64_t offset, uint64_t end) {
  if (inode.record.place == Place::kInline) {
    uint64_t space = std::min(inode.record.space_used, RoundUp(end));
    uint64_t first = offset / kBlockBytes * kBlockBytes;
    return first < space ? space - first : uint64_t{0};
  }
  uint64_t present = 0;
  for (uint64_t index = offset / kChunkBytes;; ++index) {
    TRY(auto next, NextChunk(inode, index));
    if (!next || *next * kChunkBytes >= end) return present;
    index = *next;
    TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
    uint64_t start = index * kChunkBytes;
    uint64_t first = offset > start ? (offset - start) / kBlockBytes : 0;
    uint64_t after = std::min(kChunkBlocks, (RoundUp(end) - start) / kBlockBytes);
    present += chunk->Count(first, after) * kBlockBytes;
  }
}

// Says now what would fail only after much of it was done.
Result<void> LocalFileSystem::CheckRoom(Inode& inode, uint64_t offset, uint64_t end) {
  TRY(uint64_t present, CountRange(inode, offset, end));
  uint64_t all = RoundUp(end) - offset / kBlockBytes * kBlockBytes;
  auto growth = static_cast<int64_t>(all - std::min(all, present));
  if (growth == 0) return Ok();
  TRY(RefuseIfFull());
  TRY(realms_.Charge(inode.record.realm, growth, 0));
  (void)realms_.Charge(inode.record.realm, -growth, 0);
  if (!store_.HasRoom(static_cast<uint64_t>(growth))) {
    return Error(Code::kNoSpace, "the disk of the data directory has less room than that");
  }
  return Ok();
}

Result<void> LocalFileSystem::ReserveInline(Inode& inode, uint64_t end) {
  TRY(LoadInline(inode));
  std::string& bytes = *inode.data->inline_bytes;
  if (bytes.size() >= end) return Ok();
  uint64_t space = RoundUp(end);
  if (space > inode.record.space_used) {
    TRY(realms_.Charge(inode.record.realm, static_cast<int64_t>(space - inode.record.space_used),
                       0));
    inode.record.space_used = space;
  }
  dirty_bytes_ += end - bytes.size();
  bytes.resize(end);
  return Ok();
}

// Holes become blocks of zeros. Those that share their bytes with a clone stay as they are.
Result<void> LocalFileSystem::ReserveChunk(Inode& inode, uint64_t index, uint64_t first,
                                           uint64_t after) {
  TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
  uint64_t holes = after - first - chunk->Count(first, after);
  if (holes == 0) return Ok();
  auto growth = static_cast<int64_t>(holes * kBlockBytes);
  TRY(realms_.Charge(inode.record.realm, growth, 0));
  auto reserve = [&]() -> Result<void> {
    TRY(OpenOwn(inode, index, *chunk));
    for (uint64_t at = first; at < after;) {
      uint64_t run = chunk->Run(at, after);
      if (!chunk->Has(at)) {
        TRY(chunk->unsynced->Reserve(at * kBlockBytes, run * kBlockBytes));
        SumZeros(*chunk, at, at + run);
      }
      at += run;
    }
    return Ok();
  };
  if (auto reserved = reserve(); !reserved) {
    if (reserved.code() == Code::kNoSpace) store_.NoteDiskFull();
    (void)realms_.Charge(inode.record.realm, -growth, 0);
    return reserved;
  }
  for (uint64_t at = first; at < after;) {
    uint64_t run = chunk->Run(at, after);
    if (!chunk->Has(at)) chunk->map.Set(at, at + run);
    at += run;
  }
  chunk->map_dirty = true;
  inode.record.space_used += static_cast<uint64_t>(growth);
  return Ok();
}

Result<void> LocalFileSystem::ReserveRange(Inode& inode, uint64_t offset, uint64_t end) {
  if (inode.record.place == Place::kInline) {
    if (end <= kInlineBytesMax) return ReserveInline(inode, end);
    TRY(MoveToChunks(inode, false));
  }
  while (offset < end) {
    uint64_t index = offset / kChunkBytes;
    uint64_t start = index * kChunkBytes;
    uint64_t after = std::min(kChunkBlocks, (RoundUp(end) - start) / kBlockBytes);
    TRY(ReserveChunk(inode, index, (offset - start) / kBlockBytes, after));
    offset = start + kChunkBytes;
  }
  return Ok();
}

Result<void> LocalFileSystem::Allocate(const Caller& caller, FileId file, bool opened,
                                       uint64_t offset, uint64_t length) {
  if (Replayed(caller)) return Ok();
  TRY(InodePtr inode, Find(file));
  std::lock_guard flush(inode->flush_mutex);
  TRY(CheckAllocate(offset, length));
  uint64_t end = offset + length;
  Ticket ticket = 0;
  for (uint64_t at = offset; at < end;) {
    TRY(GoOn());
    uint64_t until = std::min(end, (at / kStepBytes + 1) * kStepBytes);
    {
      std::unique_lock lock(inode->mutex);
      TRY(UsableData(caller, *inode, file, opened, kMayWrite));
      if (at == offset) TRY(CheckRoom(*inode, offset, end));
      TRY(store_.Ready());
      MarkDirty(inode);
      TRY(ReserveRange(*inode, at, until));
      if (until == end && end > inode->record.size) {
        TRY(ZeroTail(*inode, end));
        inode->record.size = end;
      }
      DataChanged(caller, *inode);
    }
    TRY(ticket, Flush(inode, [&](Batch& batch) {
          if (until == end) KeepReplay(batch, caller, {});
        }));
    at = until;
  }
  return store_.Sync(ticket);
}

// --- deallocate ---

// A part of one block reads as zeros.
Result<void> LocalFileSystem::ZeroBlockPart(Inode& inode, uint64_t offset, uint64_t end) {
  if (offset >= end) return Ok();
  TRY(FileData::Chunk * chunk, LoadChunk(inode, offset / kChunkBytes));
  if (!chunk->Has(offset % kChunkBytes / kBlockBytes)) return Ok();
  static const std::byte kZeros[kBlockBytes] = {};
  return WriteBlocks(inode, offset, std::span(kZeros, end - offset), false);
}

Result<void> LocalFileSystem::PunchInline(Inode& inode, uint64_t offset, uint64_t end) {
  TRY(LoadInline(inode));
  std::string& bytes = *inode.data->inline_bytes;
  if (offset >= bytes.size()) return Ok();
  if (end < bytes.size()) {
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(offset), end - offset, '\0');
    return Ok();
  }
  dirty_bytes_ -= bytes.size() - offset;
  bytes.resize(offset);
  auto freed = static_cast<int64_t>(inode.record.space_used - RoundUp(offset));
  (void)realms_.Charge(inode.record.realm, -freed, 0);
  inode.record.space_used = RoundUp(offset);
  return Ok();
}

// Whole blocks become holes, parts of blocks zeros. The result: chunks whose files shall lose them.
Result<LocalFileSystem::Cut> LocalFileSystem::PunchChunks(Inode& inode, uint64_t offset,
                                                          uint64_t end) {
  Cut cut;
  uint64_t first = RoundUp(offset);
  uint64_t after = std::max(first, end / kBlockBytes * kBlockBytes);
  TRY(ZeroBlockPart(inode, offset, std::min(first, end)));
  TRY(ZeroBlockPart(inode, after, end));
  uint64_t freed = 0;
  for (uint64_t index = first / kChunkBytes; first < after; ++index) {
    TRY(auto next, NextChunk(inode, index));
    if (!next || *next * kChunkBytes >= after) break;
    index = *next;
    uint64_t start = index * kChunkBytes;
    TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
    uint64_t from = first > start ? (first - start) / kBlockBytes : 0;
    uint64_t to = std::min(kChunkBlocks, (after - start) / kBlockBytes);
    uint64_t blocks = chunk->Clear(from, to);
    DropImages(inode, index, *chunk, from, to);
    if (blocks == 0) continue;
    freed += blocks * kBlockBytes;
    chunk->map_dirty = true;
    cut.push_back(index);
  }
  (void)realms_.Charge(inode.record.realm, -static_cast<int64_t>(freed), 0);
  inode.record.space_used -= freed;
  return cut;
}

// The order that a crash cannot break: first it is durable that the blocks are holes, then their
// room goes back to the disk.
Result<void> LocalFileSystem::PunchStep(const Caller& caller, const InodePtr& inode,
                                        uint64_t offset, uint64_t end, bool last) {
  Cut cut;
  {
    std::unique_lock lock(inode->mutex);
    if (inode->gone) return *inode->gone;
    TRY(store_.Ready());
    MarkDirty(inode);
    if (inode->record.place == Place::kInline) {
      TRY(PunchInline(*inode, offset, end));
    } else {
      TRY(cut, PunchChunks(*inode, offset, end));
    }
    DataChanged(caller, *inode);
  }
  TRY(Ticket ticket, Flush(inode, [&](Batch& batch) {
        if (last) KeepReplay(batch, caller, {});
      }));
  TRY(store_.Sync(ticket));
  RemoveCutFiles(*inode, cut);
  return Ok();
}

Result<void> LocalFileSystem::Deallocate(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, uint64_t length) {
  if (Replayed(caller)) return Ok();
  TRY(InodePtr inode, Find(file));
  std::lock_guard flush(inode->flush_mutex);  // so nobody cuts it meanwhile
  uint64_t end = 0;
  {
    std::shared_lock lock(inode->mutex);
    TRY(UsableData(caller, *inode, file, opened, kMayWrite));
    offset = std::min(offset, inode->record.size);
    TRY(end, PunchEnd(offset, length, inode->record.size));
  }
  for (;;) {
    TRY(GoOn());
    uint64_t until = std::min(end, (offset / kStepBytes + 1) * kStepBytes);
    TRY(PunchStep(caller, inode, offset, until, until == end));
    if (until == end) return Ok();
    offset = until;
  }
}

}  // namespace tarn::local
