// Reading and writing. Bytes go into memory (small files) or into chunk files; what the database
// says about them follows in fs_flush.cc.
#include <algorithm>
#include <cstring>

#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr int64_t kAccessTimeSeconds = int64_t{24} * 60 * 60;

Result<void> CheckRegular(const Inode& inode) {
  if (inode.IsDirectory()) return Error(Code::kIsDirectory);
  if (inode.record.type != FileType::kRegular) return Error(Code::kInvalid);
  return Ok();
}

}  // namespace

Result<FileData::Chunk*> LocalFileSystem::LoadChunk(Inode& inode, uint64_t index) {
  if (!inode.data) inode.data = std::make_unique<FileData>();
  auto& chunks = inode.data->chunks;
  if (auto found = chunks.find(index); found != chunks.end()) return &found->second;
  FileData::Chunk chunk;
  bool fresh = true;
  bool cut = inode.data->cut_from && index >= *inode.data->cut_from;
  if (inode.stored.place == Place::kChunks && !cut) {
    TRY(auto stored, store_.Get(Table::kChunks, ChunkKey(number_, inode.number, index)));
    if (stored) {
      TRY(CheckJournal(inode));
      TRY(static_cast<ChunkRow&>(chunk), ChunkRow::Decode(*stored));
      chunk.stored = chunk.map;
      fresh = false;
    }
  }
  // The file named after it may be one that was shared.
  if (fresh && inode.record.shares) chunk.sharing = std::make_unique<Sharing>();
  // Maps of chunks that are not being written can be read again.
  constexpr size_t kChunksMax = 1024;
  for (auto at = chunks.begin(); chunks.size() >= kChunksMax && at != chunks.end();) {
    at = at->second.idle() ? chunks.erase(at) : std::next(at);
  }
  return &chunks.emplace(index, std::move(chunk)).first->second;
}

Result<std::string> LocalFileSystem::StoredInline(const Inode& inode) {
  if (inode.stored.place != Place::kInline || inode.stored.space_used == 0) return std::string();
  TRY(auto bytes, store_.Get(Table::kInline, InodeKey(number_, inode.number)));
  if (!bytes) {
    return Error(Code::kCorrupt,
                 "the bytes of inode " + std::to_string(inode.number) + " are not there");
  }
  return std::move(*bytes);
}

Result<void> LocalFileSystem::LoadInline(Inode& inode) {
  if (!inode.data) inode.data = std::make_unique<FileData>();
  if (inode.data->inline_bytes) return Ok();
  TRY(std::string bytes, StoredInline(inode));
  dirty_bytes_ += bytes.size();
  inode.data->inline_bytes = std::move(bytes);
  return Ok();
}

// False: a chunk's map is not in memory yet.
Result<bool> LocalFileSystem::TryRead(Inode& inode, uint64_t offset, std::span<std::byte> buffer) {
  if (inode.record.place == Place::kInline) {
    std::string stored;
    const std::string* bytes = &stored;
    if (inode.data && inode.data->inline_bytes) {
      bytes = &*inode.data->inline_bytes;
    } else {
      TRY(stored, StoredInline(inode));
    }
    size_t have = offset < bytes->size() ? std::min(bytes->size() - offset, buffer.size()) : 0;
    if (have > 0) std::memcpy(buffer.data(), bytes->data() + offset, have);
    std::fill(buffer.begin() + static_cast<ptrdiff_t>(have), buffer.end(), std::byte{0});
    return true;
  }
  while (!buffer.empty()) {
    uint64_t index = offset / kChunkBytes;
    if (!inode.data) return false;
    auto chunk = inode.data->chunks.find(index);
    if (chunk == inode.data->chunks.end()) return false;
    uint64_t within = offset % kChunkBytes;
    size_t bytes = std::min<uint64_t>(buffer.size(), kChunkBytes - within);
    TRY(ReadChunk(inode, index, chunk->second, within, buffer.first(bytes)));
    buffer = buffer.subspan(bytes);
    offset += bytes;
  }
  return true;
}

Result<ReadResult> LocalFileSystem::Read(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, std::span<std::byte> buffer) {
  TRY(InodePtr inode, Find(file));
  ReadResult result;
  bool touch = false;
  bool mended = false;
  for (bool done = false; !done;) {
    std::shared_lock lock(inode->mutex);
    TRY(Usable(caller, *inode, file));
    TRY(CheckRegular(*inode));
    bool trusted = opened && inode->pinned();
    if (!trusted) TRY(CheckAccess(caller, inode->attributes(), kMayRead));
    if (buffer.size() > kIoBytesMax) return Error(Code::kInvalid);
    const InodeRecord& record = inode->record;
    uint64_t left = record.size > offset ? record.size - offset : 0;
    result.bytes = std::min<uint64_t>(left, buffer.size());
    result.end_of_file = offset >= record.size || result.bytes == left;
    auto read = TryRead(*inode, offset, buffer.first(result.bytes));
    if (!read && inode->data && inode->data->lost && !mended) {
      lock.unlock();
      std::unique_lock mend(inode->mutex);
      mended = true;
      if (!inode->gone) TRY(MendLost(*inode));
      continue;
    }
    TRY(done, std::move(read));
    touch = record.access_time <= record.modify_time ||
            record.access_time.seconds <= Now().seconds - kAccessTimeSeconds;
    if (done || result.bytes == 0) break;
    lock.unlock();
    std::unique_lock load(inode->mutex);
    uint64_t last = (offset + result.bytes - 1) / kChunkBytes;
    for (uint64_t index = offset / kChunkBytes; !inode->gone && index <= last; ++index) {
      TRY(LoadChunk(*inode, index));
    }
  }
  if (touch) TouchAccess(inode);
  return result;
}

// As relatime: when it tells something new, and at most once a day. Stored with the next change or
// by the write-back.
void LocalFileSystem::TouchAccess(const InodePtr& inode) {
  if (dirty_count_ >= options_.dirty_files) return;  // not worth a write
  std::unique_lock lock(inode->mutex, std::try_to_lock);
  if (!lock || inode->gone) return;
  inode->record.access_time = Now();
  MarkDirty(inode);
}

Result<size_t> LocalFileSystem::WriteInline(Inode& inode, uint64_t offset,
                                            std::span<const std::byte> data) {
  TRY(LoadInline(inode));
  std::string& bytes = *inode.data->inline_bytes;
  uint64_t length = std::max<uint64_t>(bytes.size(), offset + data.size());
  uint64_t space = RoundUp(length);
  auto growth = static_cast<int64_t>(space) - static_cast<int64_t>(inode.record.space_used);
  if (growth > 0) {
    TRY(RefuseIfFull(static_cast<uint64_t>(growth)));
    TRY(realms_.Charge(inode.record.realm, growth, 0));
    inode.record.space_used = space;
  }
  dirty_bytes_ += length - bytes.size();
  bytes.resize(length);
  std::memcpy(bytes.data() + offset, data.data(), data.size());
  return data.size();
}

// Writes into allocated blocks and holes of one chunk. Where a block was a hole, what the data does
// not cover of it becomes zeros, so that bytes from before a crash or a cut never show.
Result<void> LocalFileSystem::WriteBlocks(Inode& inode, uint64_t offset,
                                          std::span<const std::byte> data, bool in_place) {
  uint64_t index = offset / kChunkBytes;
  TRY(FileData::Chunk * chunk, LoadChunk(inode, index));
  uint64_t within = offset % kChunkBytes;
  uint64_t end = within + data.size();
  uint64_t first = within / kBlockBytes;
  uint64_t after = (end + kBlockBytes - 1) / kBlockBytes;
  uint64_t holes = after - first - chunk->Count(first, after);
  auto growth = static_cast<int64_t>(holes * kBlockBytes);
  if (growth > 0) {
    TRY(RefuseIfFull(static_cast<uint64_t>(growth)));
    TRY(realms_.Charge(inode.record.realm, growth, 0));
  }
  bool unshares = chunk->CountShared(first, after) > 0;
  auto written = in_place ? WriteInPlace(inode, index, *chunk, within, data)
                          : WriteImages(inode, index, *chunk, within, data);
  if (!written) {
    if (written.code() == Code::kNoSpace) store_.NoteDiskFull();
    if (growth == 0) return written;
    (void)realms_.Charge(inode.record.realm, -growth, 0);
    for (uint64_t block = first; block < after; ++block) {
      if (!chunk->Has(block)) DropImages(inode, index, *chunk, block, block + 1);
    }
    return written;
  }
  if (growth > 0 || unshares) {
    chunk->map.Set(first, after);
    chunk->ClearShared(first, after);
    chunk->map_dirty = true;
    inode.record.space_used += static_cast<uint64_t>(growth);
  }
  return Ok();
}

// What lies behind the end in the file's last block may be old bytes. Before the end moves beyond
// them, they become zeros.
Result<void> LocalFileSystem::ZeroTail(Inode& inode, uint64_t until) {
  uint64_t size = inode.record.size;
  uint64_t end = std::min(RoundUp(size), until);
  if (inode.record.place != Place::kChunks || size >= end) return Ok();
  TRY(FileData::Chunk * chunk, LoadChunk(inode, size / kChunkBytes));
  if (!chunk->Has(size % kChunkBytes / kBlockBytes)) return Ok();
  static const std::byte kZeros[kBlockBytes] = {};
  return WriteBlocks(inode, size, std::span(kZeros, end - size), false);
}

// The number of bytes: less than asked for when a later chunk failed.
Result<size_t> LocalFileSystem::WriteChunks(Inode& inode, uint64_t offset,
                                            std::span<const std::byte> data, bool in_place) {
  if (in_place && inode.data && inode.data->dirty_images > 0) TRY(SpillImages(inode));
  TRY(ZeroTail(inode, offset));
  size_t done = 0;
  while (done < data.size()) {
    uint64_t at = offset + done;
    size_t bytes = std::min<uint64_t>(data.size() - done, kChunkBytes - at % kChunkBytes);
    auto written = WriteBlocks(inode, at, data.subspan(done, bytes), in_place);
    if (!written && done == 0) return written.error();
    if (!written) break;
    done += bytes;
  }
  return done;
}

// A small file grows. Its bytes stay in the database too until the next flush stored the chunks.
Result<void> LocalFileSystem::MoveToChunks(Inode& inode, bool in_place) {
  TRY(LoadInline(inode));
  std::string bytes = *inode.data->inline_bytes;
  uint64_t space = inode.record.space_used;
  inode.record.place = Place::kChunks;
  inode.record.space_used = 0;
  (void)realms_.Charge(inode.record.realm, -static_cast<int64_t>(space), 0);
  auto written =
      bytes.empty() ? Ok() : WriteBlocks(inode, 0, std::as_bytes(std::span(bytes)), in_place);
  if (!written) {
    inode.record.place = Place::kInline;
    inode.record.space_used = space;
    (void)realms_.Charge(inode.record.realm, static_cast<int64_t>(space), 0);
    return written;
  }
  dirty_bytes_ -= bytes.size();
  inode.data->inline_bytes.reset();
  return Ok();
}

Result<size_t> LocalFileSystem::WriteLocked(Inode& inode, uint64_t offset,
                                            std::span<const std::byte> data, bool in_place) {
  if (inode.data && inode.data->lost) (void)MendLost(inode);  // a part of a block is read first
  if (inode.record.place == Place::kInline && offset + data.size() > kInlineBytesMax) {
    TRY(MoveToChunks(inode, in_place));
  }
  if (inode.record.place == Place::kInline) return WriteInline(inode, offset, data);
  return WriteChunks(inode, offset, data, in_place);
}

Result<WriteResult> LocalFileSystem::Write(const Caller& caller, FileId file, bool opened,
                                           uint64_t offset, std::span<const std::byte> data,
                                           Stability stability) {
  TRY(InodePtr inode, Find(file));
  bool flush = stability != Stability::kUnstable;
  size_t written = 0;
  uint32_t losses = 0;
  WritePlan plan;
  do {
    // Before blocks are written over in place the log must say so.
    for (auto& range : std::exchange(plan.unmarked, {})) TRY(marks_.Mark(range));
    std::unique_lock lock(inode->mutex);
    TRY(Usable(caller, *inode, file));
    TRY(CheckRegular(*inode));
    if (caller.read_only) return Error(Code::kReadOnly);
    bool trusted = opened && inode->pinned();
    if (!trusted) TRY(CheckAccess(caller, inode->attributes(), kMayWrite));
    if (data.size() > kIoBytesMax) return Error(Code::kInvalid);
    if (data.empty()) return WriteResult{0, stability};
    if (offset > kFileBytesMax - data.size()) return Error(Code::kFileTooBig);
    TRY(plan, PlanWrite(*inode, offset, data.size()));
    if (!plan.unmarked.empty()) continue;
    TRY(flush ? store_.Ready() : ReserveChange(*inode));
    losses = inode->losses;
    MarkDirty(inode);
    TRY(written, WriteLocked(*inode, offset, data, plan.in_place));
    InodeRecord& record = inode->record;
    record.size = std::max<uint64_t>(record.size, offset + written);
    record.mode = ModeAfterWrite(caller, inode->attributes());
    record.modify_time = record.change_time = Now();
    record.change = NextChange(record.change);
    flush = flush || TooDirty(*inode);
  } while (!plan.unmarked.empty());
  if (!flush) return WriteResult{written, Stability::kUnstable};
  TRY(Ticket ticket, FlushOne(inode));
  if (stability != Stability::kUnstable) {
    TRY(inode->CheckLosses(losses));
    TRY(store_.Sync(ticket));
  }
  return WriteResult{written, stability};
}

Result<void> LocalFileSystem::Commit(const Caller& caller, FileId file, uint64_t offset,
                                     uint64_t length) {
  (void)offset;
  (void)length;
  TRY(InodePtr inode, Find(file));
  {
    std::shared_lock lock(inode->mutex);
    TRY(Usable(caller, *inode, file));
    TRY(CheckRegular(*inode));
  }
  TRY(Ticket ticket, FlushOne(inode));
  return store_.Sync(ticket);
}

}  // namespace tarn::local
