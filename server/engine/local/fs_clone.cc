// Clones: the target's rows come to speak of the source's chunk files.
//
// Two batches, in this order: the source's own files become shared ones, which changes nothing that
// anyone sees; then the target changes. Both files' flush mutexes and locks are held, so that what
// is in memory is what the database says.
#include <algorithm>
#include <vector>

#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"
#include "server/vfs/ranges.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kCopyStepBytes = 1 << 20;
// Less than this is copied faster than shared.
constexpr uint64_t kShareBytesMin = 64 << 10;

}  // namespace

struct LocalFileSystem::CloneJob {
  const Caller& caller;
  const DataPlace& source;
  const DataPlace& target;
  InodePtr from;
  InodePtr to;
  uint64_t length = 0;
  ReplayRecord record{};
};

// Blocks of one chunk of the source, and of one of the target.
struct LocalFileSystem::Piece {
  uint64_t source_index = 0;
  uint64_t source_block = 0;
  uint64_t target_index = 0;
  uint64_t target_block = 0;
  uint64_t blocks = 0;
  uint64_t offset = 0;  // bytes of the range before it
};

Result<uint64_t> LocalFileSystem::CheckClone(const CloneJob& job) const {
  TRY(UsableData(job.caller, *job.from, job.source.file, job.source.opened, kMayRead));
  TRY(UsableData(job.caller, *job.to, job.target.file, job.target.opened, kMayWrite));
  return CloneLength({.one_file = job.from == job.to,
                      .source_offset = job.source.offset,
                      .source_size = job.from->record.size,
                      .target_offset = job.target.offset,
                      .target_size = job.to->record.size,
                      .length = job.length});
}

// The next piece after `done` bytes of the range in which either file has data. False: none is
// left.
Result<bool> LocalFileSystem::NextPiece(const CloneJob& job, uint64_t done, Piece& piece) {
  while (done < job.length) {
    uint64_t from = job.source.offset + done;
    uint64_t to = job.target.offset + done;
    TRY(auto source, NextChunk(*job.from, from / kChunkBytes));
    TRY(auto target, NextChunk(*job.to, to / kChunkBytes));
    uint64_t skip = job.length - done;
    if (source) skip = std::min(skip, std::max(from, *source * kChunkBytes) - from);
    if (target) skip = std::min(skip, std::max(to, *target * kChunkBytes) - to);
    done += skip;
    if (skip > 0) continue;
    piece.source_index = from / kChunkBytes;
    piece.source_block = from % kChunkBytes / kBlockBytes;
    piece.target_index = to / kChunkBytes;
    piece.target_block = to % kChunkBytes / kBlockBytes;
    piece.blocks = std::min({kChunkBlocks - piece.source_block, kChunkBlocks - piece.target_block,
                             RoundUp(job.length - done) / kBlockBytes});
    piece.offset = done;
    return true;
  }
  return false;
}

// The own files of the source's chunks in the range become shared ones, durably before anyone else
// speaks of them.
Result<void> LocalFileSystem::FreezeSource(const CloneJob& job) {
  Inode& inode = *job.from;
  uint64_t end = job.source.offset + job.length;
  for (uint64_t index = job.source.offset / kChunkBytes; index * kChunkBytes < end; ++index) {
    TRY(auto next, NextChunk(inode, index));
    if (!next || *next * kChunkBytes >= end) break;
    index = *next;
    TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
    uint64_t start = index * kChunkBytes;
    uint64_t first = job.source.offset > start ? (job.source.offset - start) / kBlockBytes : 0;
    uint64_t after = std::min(kChunkBlocks, (RoundUp(end) - start) / kBlockBytes);
    if (chunk->map.Count(first, after) == 0) continue;
    if (chunk->sharing && chunk->sharing->shared.size() == kSharedMax) continue;  // to be copied
    // Nobody but this chunk knows of its marks, and nobody writes into a shared file.
    TRY(SettleChunk(inode, index));
    MarkDirty(job.from);
    inode.record.shares = true;
    chunk->StartSharing({inode.number, index});
    chunk->ShareOwn();
    chunk->map_dirty = true;
  }
  TRY(FlushLocked(job.from, nullptr, {}));
  return Ok();
}

Result<void> LocalFileSystem::ClonePiece(const CloneJob& job, const Piece& piece) {
  Inode& to = *job.to;
  TRY(FileData::Chunk * source, LoadChunk(*job.from, piece.source_index));
  bool idle = !std::exchange(source->storing, true);  // else loading the other may forget it
  auto loaded = LoadChunk(to, piece.target_index);
  if (idle) source->storing = false;
  TRY(FileData::Chunk * target, std::move(loaded));
  target->StartSharing({to.number, piece.target_index});
  uint64_t after = piece.target_block + piece.blocks;
  uint64_t freed = target->Clear(piece.target_block, after);
  DropImages(to, piece.target_index, *target, piece.target_block, after);
  target->map_dirty = true;
  uint64_t end = piece.source_block + piece.blocks;
  bool shared = source->map.Count(piece.source_block, end) == 0 &&
                target->TakeShared(*source, piece.source_block, end, piece.target_block);
  if (!shared) target->Clear(piece.target_block, after);
  uint64_t added = target->Count(piece.target_block, after);
  to.record.space_used += (added - freed) * kBlockBytes;
  return shared ? Ok() : CopyPiece(job, piece);
}

// Too many files would be shared.
Result<void> LocalFileSystem::CopyPiece(const CloneJob& job, const Piece& piece) {
  uint64_t bytes = piece.blocks * kBlockBytes;
  TRY(uint64_t counted, CountRange(*job.from, job.source.offset + piece.offset,
                                   job.source.offset + piece.offset + bytes));
  // Writing counts it once more.
  (void)realms_.Charge(job.to->record.realm, -static_cast<int64_t>(counted), 0);
  std::vector<std::byte> buffer(kCopyStepBytes);
  for (uint64_t done = 0; done < bytes;) {
    uint64_t offset = job.source.offset + piece.offset + done;
    TRY(FileData::Chunk * chunk, LoadChunk(*job.from, piece.source_index));
    uint64_t block = offset % kChunkBytes / kBlockBytes;
    uint64_t run = chunk->Run(block, block + (bytes - done) / kBlockBytes) * kBlockBytes;
    bool data = chunk->Has(block);
    uint64_t step = data ? std::min(run, kCopyStepBytes) : run;
    if (data) {
      auto part = std::span(buffer).first(step);
      TRY(bool read, TryRead(*job.from, offset, part));
      if (!read) return Error(Code::kInternal, "a block map was forgotten");
      uint64_t at = job.target.offset + piece.offset + done;
      TRY(WritePlan plan, PlanWrite(*job.to, at, part.size()));
      for (auto& range : plan.unmarked) TRY(marks_.Mark(range));
      TRY(WriteBlocks(*job.to, at, part, plan.in_place));
    }
    done += step;
  }
  return Ok();
}

Result<LocalFileSystem::Cut> LocalFileSystem::CloneChunks(const CloneJob& job) {
  TRY(GoOn());  // and not later: a part of it must not become durable
  Inode& to = *job.to;
  bool moves = to.record.place == Place::kInline;
  bool tail = job.target.offset > to.record.size && to.record.size % kBlockBytes != 0;
  if (moves || tail) MarkDirty(job.to);
  if (moves) TRY(MoveToChunks(to, false));
  if (tail) TRY(ZeroTail(to, job.target.offset));
  TRY(FlushLocked(job.to, nullptr, {}));
  TRY(uint64_t gain, CountRange(*job.from, job.source.offset, job.source.offset + job.length));
  TRY(uint64_t loss, CountRange(to, job.target.offset, job.target.offset + job.length));
  TRY(RefuseIfFull());
  auto growth = static_cast<int64_t>(gain - loss);
  TRY(realms_.Charge(to.record.realm, growth, 0));
  // A file that is shared is whole.
  auto frozen = ApplyLocked(job.from);
  if (frozen) frozen = FreezeSource(job);
  if (!frozen) {
    (void)realms_.Charge(to.record.realm, -growth, 0);
    return frozen.error();
  }
  MarkDirty(job.to);
  to.record.shares = true;
  uint64_t before = to.record.space_used;
  Cut cut;
  Result<void> status;
  Piece piece;
  for (uint64_t done = 0; status.ok(); done = piece.offset + piece.blocks * kBlockBytes) {
    auto more = NextPiece(job, done, piece);
    if (!more) status = more.error();
    if (!more || !*more) break;
    status = ClonePiece(job, piece);
    cut.push_back(piece.target_index);
  }
  if (!status) {  // what could not be read is not counted
    auto made = static_cast<int64_t>(to.record.space_used - before);
    (void)realms_.Charge(to.record.realm, made - growth, 0);
    return status.error();
  }
  return cut;
}

// From a file that lies in the database.
Result<LocalFileSystem::Cut> LocalFileSystem::CloneBytes(const CloneJob& job) {
  Inode& to = *job.to;
  TRY(uint64_t have, InlineBytes(*job.from));
  uint64_t left = have > job.source.offset ? have - job.source.offset : 0;
  std::vector<std::byte> bytes(std::min(left, job.length));
  TRY(TryRead(*job.from, job.source.offset, bytes));
  uint64_t start = job.target.offset;
  uint64_t end = start + job.length;
  TRY(CheckRoom(to, start, start + bytes.size()));
  MarkDirty(job.to);
  Cut cut;
  if (to.record.place == Place::kInline) {
    TRY(PunchInline(to, start, end));
  } else {
    TRY(cut, PunchChunks(to, start, end < to.record.size ? end : RoundUp(end)));
  }
  if (bytes.empty()) {
    TRY(ZeroTail(to, end));
    return cut;
  }
  TRY(size_t written, WriteLocked(to, start, bytes, false));
  if (written < bytes.size()) return Error(Code::kNoSpace);
  return cut;
}

Result<void> LocalFileSystem::CloneRange(CloneJob& job) {
  std::unique_lock first(job.from->flush_mutex, std::defer_lock);
  std::unique_lock second(job.to->flush_mutex, std::defer_lock);
  if (job.from->number > job.to->number) std::swap(first, second);
  first.lock();
  if (job.from != job.to) second.lock();
  {
    LockSet locks;
    locks.Lock({job.from, job.to});
    TRY(CheckClone(job));
  }
  // Most of the waiting for the disk, while others may read and write.
  TRY(Flush(job.from));
  TRY(Flush(job.to));
  Ticket ticket = 0;
  Cut cut;
  {
    LockSet locks;
    locks.Lock({job.from, job.to});
    TRY(job.length, CheckClone(job));
    TRY(store_.Ready());
    TRY(FlushLocked(job.from, nullptr, {}));
    if (job.from->record.place == Place::kInline) {
      TRY(cut, CloneBytes(job));
    } else {
      TRY(cut, CloneChunks(job));
    }
    MarkDirty(job.to);
    InodeRecord& record = job.to->record;
    record.size = std::max(record.size, job.target.offset + job.length);
    DataChanged(job.caller, *job.to);
    TRY(ticket, FlushLocked(job.to, nullptr,
                            [&](Batch& batch) { KeepReplay(batch, job.caller, job.record); }));
  }
  TRY(store_.Sync(ticket));
  RemoveCutFiles(*job.to, cut);
  return Ok();
}

Result<void> LocalFileSystem::Clone(const Caller& caller, const DataPlace& source,
                                    const DataPlace& target, uint64_t length) {
  if (Replayed(caller)) return Ok();
  TRY(InodePtr from, Find(source.file));
  TRY(InodePtr to, Find(target.file));
  CloneJob job{caller, source, target, from, to, length};
  return CloneRange(job);
}

// Whole blocks at the start of what is to be copied; 0: that is not worth it, or not possible.
Result<uint64_t> LocalFileSystem::CopyByReference(const Caller& caller, const DataPlace& source,
                                                  const DataPlace& target, uint64_t length) {
  if (source.offset % kBlockBytes != 0 || target.offset % kBlockBytes != 0) return uint64_t{0};
  uint64_t whole = length / kBlockBytes * kBlockBytes;
  if (whole < kShareBytesMin) return uint64_t{0};
  TRY(InodePtr from, Find(source.file));
  TRY(InodePtr to, Find(target.file));
  CloneJob job{caller, source, target, from, to, whole, {0, {}, {}, {}, whole}};
  auto cloned = CloneRange(job);
  if (cloned.code() == Code::kInvalid) return uint64_t{0};  // the source was cut meanwhile
  TRY(std::move(cloned));
  return whole;
}

}  // namespace tarn::local
