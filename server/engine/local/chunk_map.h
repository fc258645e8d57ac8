// ChunkMap: which blocks of one chunk of a file were ever written. What was not is a hole and reads
// as zero, whatever the chunk file holds there; so bytes that a crash left behind never show.
//
// Threads: none of its own; the inode's lock guards it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace tarn::local {

inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kChunkBytes = 64u << 20;
inline constexpr uint64_t kChunkBlocks = kChunkBytes / kBlockBytes;

class ChunkMap {
 public:
  bool Has(uint64_t block) const;
  // Marks [first, after); the number of those that were holes.
  uint64_t Set(uint64_t first, uint64_t after);
  // Makes [first, after) holes; the number of those that were not.
  uint64_t Clear(uint64_t first, uint64_t after);
  // How many blocks from `first` on, up to `after`, are as the first one is.
  uint64_t Run(uint64_t first, uint64_t after) const;
  // Blocks in [first, after) that are not holes.
  uint64_t Count(uint64_t first, uint64_t after) const;
  // One after the last block that is no hole; 0 for none.
  uint64_t End() const;

  std::string Encode() const;
  static Result<ChunkMap> Decode(std::string_view bytes);

 private:
  std::vector<uint64_t> words_;  // as long as needed
};

}  // namespace tarn::local
