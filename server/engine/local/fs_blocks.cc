// Blocks of chunks: where their bytes are, and their checksums.
//
// A block's bytes are in its image in memory if it has one (see fs_journal.cc), else in the chunk
// file. Bytes from a chunk file are believed only when their sum is right. A sum is of the whole
// block, so whole blocks are read and written; what the map has is always whole in the file.
#include <algorithm>
#include <cstring>

#include "common/log.h"
#include "server/engine/local/health.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

// So that bytes are summed while they are in the processor's cache.
constexpr uint64_t kReadBytes = 2 * kRegionBytes;

using BlockBuffer = std::array<std::byte, kBlockBytes>;

}  // namespace

Result<RegionSums> LocalFileSystem::SumsOf(const FileView& view, uint64_t region) {
  TRY(RegionSums sums, sums_.Of(view.file, region));
  if (view.own == nullptr) return sums;
  for (auto* newer : {&view.own->storing_sums, &view.own->sums}) {
    if (auto found = newer->find(region); found != newer->end()) sums.Add(found->second);
  }
  return sums;
}

Result<void> LocalFileSystem::ReadVerified(const FileView& view, uint64_t block,
                                           std::span<std::byte> buffer) {
  TRY(auto file, chunks_.Open(view.file, false));
  if (!file) {
    return Error(Code::kCorrupt, "chunk " + std::to_string(view.index) + " of inode " +
                                     std::to_string(view.inode) + ": its file " +
                                     chunks_.PathOf(view.file) + " is not there");
  }
  ProcessHealth().blocks_verified.fetch_add(buffer.size() / kBlockBytes, std::memory_order_relaxed);
  uint64_t region = kChunkRegions;  // none yet
  RegionSums sums;
  while (!buffer.empty()) {
    uint64_t piece_end = (block * kBlockBytes / kReadBytes + 1) * kReadBytes;
    auto piece = buffer.first(std::min(piece_end - block * kBlockBytes, buffer.size()));
    TRY(file->Read(block * kBlockBytes, piece));
    for (size_t at = 0; at < piece.size(); at += kBlockBytes, ++block) {
      if (block / kRegionBlocks != region) {
        region = block / kRegionBlocks;
        TRY(sums, SumsOf(view, region));
      }
      // In an encrypted file system every block has a sum: it is what tells a block at another's
      // place, so nobody gets around it by taking it away.
      if (!sums.Has(block) && !record_.encrypted) continue;
      if (sums.Has(block) && sums.Of(block) == Crc32c(piece.subspan(at, kBlockBytes))) continue;
      // Until it is settled.
      if (view.own != nullptr && marks_.FromCrash(view.inode, view.index, region)) continue;
      return WrongSum(view, block);
    }
    buffer = buffer.subspan(piece.size());
  }
  return Ok();
}

Error LocalFileSystem::WrongSum(const FileView& view, uint64_t block) const {
  auto offset = static_cast<int64_t>(view.index * kChunkBytes) +
                (static_cast<int64_t>(block) - view.delta) * static_cast<int64_t>(kBlockBytes);
  std::string where = "file system " + std::to_string(number_) + ": inode " +
                      std::to_string(view.inode) + ": wrong checksum of the 4096 bytes at offset " +
                      std::to_string(offset) + " (" + chunks_.PathOf(view.file) + " at " +
                      std::to_string(block * kBlockBytes) + ")";
  spdlog::error("{}", where);
  ProcessHealth().damaged.fetch_add(1, std::memory_order_relaxed);
  return Error(Code::kIo, where);
}

Result<void> LocalFileSystem::ReadFile(const FileView& view, uint64_t within,
                                       std::span<std::byte> part) {
  BlockBuffer edge;
  while (!part.empty()) {
    auto block = static_cast<uint64_t>(static_cast<int64_t>(within / kBlockBytes) + view.delta);
    size_t skip = within % kBlockBytes;
    size_t bytes = part.size() / kBlockBytes * kBlockBytes;
    if (skip == 0 && bytes > 0) {
      TRY(ReadVerified(view, block, part.first(bytes)));
    } else {
      TRY(ReadVerified(view, block, edge));
      bytes = std::min(part.size(), kBlockBytes - skip);
      std::memcpy(part.data(), edge.data() + skip, bytes);
    }
    part = part.subspan(bytes);
    within += bytes;
  }
  return Ok();
}

// Bytes of one chunk, wherever they are.
Result<void> LocalFileSystem::ReadChunk(const Inode& inode, uint64_t index,
                                        const FileData::Chunk& chunk, uint64_t within,
                                        std::span<std::byte> buffer) {
  uint64_t end = within + buffer.size();
  while (!buffer.empty()) {
    uint64_t block = within / kBlockBytes;
    uint64_t limit = (end + kBlockBytes - 1) / kBlockBytes;
    auto image = chunk.journal.lower_bound(block);
    while (image != chunk.journal.end() && !image->second.image) ++image;
    bool in_memory = image != chunk.journal.end() && image->first == block;
    if (in_memory) {
      limit = block + 1;
    } else if (image != chunk.journal.end()) {
      limit = std::min(limit, image->first);
    }
    uint64_t run = in_memory ? 1 : chunk.map.Run(block, limit);
    auto part = buffer.first(std::min((block + run) * kBlockBytes, end) - within);
    if (in_memory) {
      std::memcpy(part.data(), image->second.image->data() + within % kBlockBytes, part.size());
    } else if (chunk.map.Has(block)) {
      TRY(ReadFile(OwnView(inode, index, chunk), within, part));
    } else if (chunk.sharing) {
      TRY(ReadShared(inode, index, chunk, within, part));
    } else {
      std::fill(part.begin(), part.end(), std::byte{0});
    }
    buffer = buffer.subspan(part.size());
    within += part.size();
  }
  return Ok();
}

// What a write that covers only a part of a block leaves of it.
Result<void> LocalFileSystem::Merge(const Inode& inode, uint64_t index,
                                    const FileData::Chunk& chunk, uint64_t block, size_t skip,
                                    std::span<const std::byte> data, std::span<std::byte> buffer) {
  if (data.size() < kBlockBytes) {
    TRY(ReadChunk(inode, index, chunk, block * kBlockBytes, buffer));
  }
  std::memcpy(buffer.data() + skip, data.data(), data.size());
  return Ok();
}

// Writes into the chunk file. Blocks whose sums are stored must be marked, see PlanWrite.
Result<void> LocalFileSystem::WriteInPlace(Inode& inode, uint64_t index, FileData::Chunk& chunk,
                                           uint64_t within, std::span<const std::byte> data) {
  TRY(OpenOwn(inode, index, chunk));
  BlockBuffer edge;
  while (!data.empty()) {
    uint64_t block = within / kBlockBytes;
    size_t skip = within % kBlockBytes;
    size_t bytes = std::min(data.size() / kBlockBytes * kBlockBytes, ChunkFile::kWriteBytesMax);
    std::span<const std::byte> whole = data.first(bytes);
    if (skip != 0 || bytes == 0) {
      bytes = std::min(data.size(), kBlockBytes - skip);
      TRY(Merge(inode, index, chunk, block, skip, data.first(bytes), edge));
      whole = edge;
    }
    uint64_t after = block + whole.size() / kBlockBytes;
    if (auto written = chunk.unsynced->Write(block * kBlockBytes, whole); !written) {
      SumAgain(inode, index, chunk, block, after);
      return written;
    }
    for (uint64_t i = block; i < after; ++i) {
      RegionSums& sums = chunk.sums[i / kRegionBlocks];
      sums.Set(i, Crc32c(whole.subspan((i - block) * kBlockBytes, kBlockBytes)));
    }
    DropImages(inode, index, chunk, block, after);
    data = data.subspan(bytes);
    within += bytes;
  }
  return Ok();
}

// The chunk file was given zeros there.
void LocalFileSystem::SumZeros(FileData::Chunk& chunk, uint64_t first, uint64_t after) {
  static const uint32_t kSum = Crc32c(BlockBuffer{});
  for (uint64_t block = first; block < after; ++block) {
    chunk.sums[block / kRegionBlocks].Set(block, kSum);
  }
}

// A write failed half-way, so nobody knows what the blocks hold. That is what callers were told,
// and no damage to be found later.
void LocalFileSystem::SumAgain(Inode& inode, uint64_t index, FileData::Chunk& chunk, uint64_t first,
                               uint64_t after) {
  BlockBuffer buffer;
  for (uint64_t block = first; block < after; ++block) {
    if (!chunk.map.Has(block)) continue;
    if (!chunk.unsynced->Read(block * kBlockBytes, buffer)) continue;
    chunk.sums[block / kRegionBlocks].Set(block, Crc32c(buffer));
  }
  spdlog::warn(
      "file system {}: inode {}: a write into chunk {} failed, blocks {} to {} may be torn",
      number_, inode.number, index, first, after);
}

}  // namespace tarn::local
