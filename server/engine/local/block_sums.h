// BlockSums: a CRC32C (RFC 3720 B.4) of every 4 KiB block of the chunk files, kept in the database
// by region of 32 blocks, and a bounded cache of regions.
//
// A block without a sum was written before there were sums: it is read unverified until it is
// written again, or a scrub adds its sum. Sums lag behind the files while writes are unstable:
// FileData::Chunk has those of blocks that the database does not know yet.
//
// Threads: any. Who changes the sums of a chunk file holds the lock of its inode alone, who reads
// them at least shared. Errors: kIo, kCorrupt.
#pragma once

#include <array>
#include <bit>
#include <mutex>
#include <vector>

#include "server/engine/local/chunk_files.h"
#include "server/engine/local/chunk_map.h"
#include "server/engine/local/crc32c.h"
#include "server/engine/local/store.h"

namespace tarn::local {

inline constexpr uint64_t kRegionBlocks = 32;
inline constexpr uint64_t kRegionBytes = kRegionBlocks * kBlockBytes;
inline constexpr uint64_t kChunkRegions = kChunkBlocks / kRegionBlocks;

// Sums of a region's blocks, as far as they are known.
struct RegionSums {
  uint32_t known = 0;  // a bit a block
  std::array<uint32_t, kRegionBlocks> sums{};

  bool Has(uint64_t block) const { return (known >> (block % kRegionBlocks) & 1) != 0; }
  uint32_t Of(uint64_t block) const { return sums[block % kRegionBlocks]; }
  void Set(uint64_t block, uint32_t sum) {
    known |= uint32_t{1} << (block % kRegionBlocks);
    sums[block % kRegionBlocks] = sum;
  }
  void Forget(uint64_t block) { known &= ~(uint32_t{1} << (block % kRegionBlocks)); }
  // `newer` wins.
  void Add(const RegionSums& newer);

  std::string Encode() const;
  static Result<RegionSums> Decode(std::string_view bytes);
};

class BlockSums {
 public:
  // `bytes`: of the cache, about.
  BlockSums(Store& store, size_t bytes);

  // What the database knows.
  Result<RegionSums> Of(const ChunkId& file, uint64_t region);
  // They alone, in a batch of its own.
  Result<void> PutAlone(const ChunkId& file, uint64_t region, const RegionSums& sums);
  // Puts them into the batch; Stored when it was written.
  static void Put(Batch& batch, const ChunkId& file, uint64_t region, const RegionSums& sums);
  void Stored(const ChunkId& file, uint64_t region, const RegionSums& sums);
  // All sums of a file, in the batch that frees it.
  Result<void> Delete(Batch& batch, const ChunkId& file) const;
  // What the cache has of a file system.
  void Forget(uint32_t fs);

 private:
  // An entry lies in the set that its key hashes to; the oldest of the set goes for a new one.
  static constexpr size_t kWays = 4;
  static constexpr size_t kLocks = 64;
  struct Entry {
    ChunkId file;
    uint32_t region = 0;
    bool used = false;
    RegionSums sums;
  };
  struct Set {
    std::array<Entry, kWays> entries;
    uint32_t next = 0;  // to be replaced
  };
  size_t SetOf(const ChunkId& file, uint64_t region) const;

  Store& store_;
  std::vector<Set> sets_;
  std::array<std::mutex, kLocks> locks_;  // a set is guarded by the one of its number % kLocks
};

}  // namespace tarn::local
