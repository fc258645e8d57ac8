#include "server/engine/local/chunk_map.h"

#include <algorithm>
#include <bit>

#include "server/engine/local/little.h"

namespace tarn::local {
namespace {

// First byte of the stored form: the blocks [0, n), or one bit a block.
constexpr char kDense = 1;
constexpr char kBits = 2;

uint64_t MaskFrom(uint64_t bit) {
  return ~uint64_t{0} << bit;
}

// The bits of word `index` that lie in [first, after).
uint64_t MaskOf(uint64_t index, uint64_t first, uint64_t after) {
  uint64_t base = index * 64;
  uint64_t mask = first > base ? MaskFrom(first - base) : ~uint64_t{0};
  if (after < base + 64) mask &= ~MaskFrom(after - base);
  return mask;
}

}  // namespace

bool ChunkMap::Has(uint64_t block) const {
  uint64_t index = block / 64;
  return index < words_.size() && (words_[index] >> (block % 64) & 1) != 0;
}

uint64_t ChunkMap::Set(uint64_t first, uint64_t after) {
  if (first >= after) return 0;
  if (words_.size() * 64 < after) words_.resize((after + 63) / 64);
  uint64_t changed = 0;
  for (uint64_t i = first / 64; i * 64 < after; ++i) {
    uint64_t mask = MaskOf(i, first, after);
    changed += static_cast<uint64_t>(std::popcount(mask & ~words_[i]));
    words_[i] |= mask;
  }
  return changed;
}

uint64_t ChunkMap::Clear(uint64_t first, uint64_t after) {
  after = std::min<uint64_t>(after, words_.size() * 64);
  uint64_t changed = 0;
  for (uint64_t i = first / 64; i * 64 < after; ++i) {
    uint64_t mask = MaskOf(i, first, after);
    changed += static_cast<uint64_t>(std::popcount(mask & words_[i]));
    words_[i] &= ~mask;
  }
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
  return changed;
}

uint64_t ChunkMap::Run(uint64_t first, uint64_t after) const {
  bool set = Has(first);
  uint64_t at = first;
  while (at < after) {
    uint64_t index = at / 64;
    if (index >= words_.size()) return set ? at - first : after - first;
    uint64_t word = words_[index] >> (at % 64);
    if (set) word = ~word;
    // Zeros shifted in from above must not end a run of set bits early, nor prolong one of holes.
    auto same = static_cast<uint64_t>(std::countr_zero(word));
    uint64_t left = 64 - at % 64;
    if (same < left) return std::min(at + same, after) - first;
    at += left;
  }
  return after - first;
}

uint64_t ChunkMap::Count(uint64_t first, uint64_t after) const {
  after = std::min<uint64_t>(after, words_.size() * 64);
  uint64_t count = 0;
  for (uint64_t i = first / 64; i * 64 < after; ++i) {
    count += static_cast<uint64_t>(std::popcount(MaskOf(i, first, after) & words_[i]));
  }
  return count;
}

uint64_t ChunkMap::End() const {
  for (size_t i = words_.size(); i > 0; --i) {
    if (words_[i - 1] != 0) return i * 64 - static_cast<uint64_t>(std::countl_zero(words_[i - 1]));
  }
  return 0;
}

std::string ChunkMap::Encode() const {
  uint64_t end = End();
  bool dense = Count(0, end) == end;
  std::string out(1, dense ? kDense : kBits);
  if (dense) {
    PutLittle(out, end, 4);
  } else {
    for (uint64_t word : words_) PutLittle(out, word, 8);
  }
  return out;
}

Result<ChunkMap> ChunkMap::Decode(std::string_view bytes) {
  Error broken(Code::kCorrupt, "the stored block map of a file cannot be understood");
  if (bytes.empty()) return broken;
  char form = bytes[0];
  bytes.remove_prefix(1);
  ChunkMap map;
  if (form == kDense) {
    if (bytes.size() != 4 || GetLittle(bytes) > kChunkBlocks) return broken;
    map.Set(0, GetLittle(bytes));
    return map;
  }
  if (form != kBits || bytes.size() % 8 != 0 || bytes.size() * 8 > kChunkBlocks) return broken;
  for (size_t at = 0; at < bytes.size(); at += 8)
    map.words_.push_back(GetLittle(bytes.substr(at, 8)));
  return map;
}

}  // namespace tarn::local
