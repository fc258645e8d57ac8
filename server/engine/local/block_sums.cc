#include "server/engine/local/block_sums.h"

#include <algorithm>

#include "server/engine/local/little.h"

namespace tarn::local {
namespace {

// First byte of a stored region: then which blocks are known, and the sum of each of those.
constexpr char kRegionVersion = 1;
// Up to so many rows are deleted one by one: a range that is deleted slows later reads down.
constexpr uint64_t kRowsDeletedMax = 32;

}  // namespace

void RegionSums::Add(const RegionSums& newer) {
  known |= newer.known;
  for (uint32_t left = newer.known; left != 0; left &= left - 1) {
    auto block = static_cast<size_t>(std::countr_zero(left));
    sums[block] = newer.sums[block];
  }
}

std::string RegionSums::Encode() const {
  std::string out(1, kRegionVersion);
  out.reserve(5 + 4 * kRegionBlocks);
  PutLittle(out, known, 4);
  for (uint32_t left = known; left != 0; left &= left - 1) {
    PutLittle(out, sums[static_cast<size_t>(std::countr_zero(left))], 4);
  }
  return out;
}

Result<RegionSums> RegionSums::Decode(std::string_view bytes) {
  Error broken(Code::kCorrupt, "the stored checksums of a file cannot be understood");
  if (bytes.size() < 5 || bytes[0] != kRegionVersion) return broken;
  RegionSums region;
  region.known = static_cast<uint32_t>(GetLittle(bytes.substr(1, 4)));
  if (bytes.size() != 5 + 4 * static_cast<size_t>(std::popcount(region.known))) return broken;
  size_t at = 5;
  for (uint32_t left = region.known; left != 0; left &= left - 1, at += 4) {
    region.sums[static_cast<size_t>(std::countr_zero(left))] =
        static_cast<uint32_t>(GetLittle(bytes.substr(at, 4)));
  }
  return region;
}

BlockSums::BlockSums(Store& store, size_t bytes)
    : store_(store), sets_(std::bit_floor(std::max<size_t>(bytes / sizeof(Set), 1))) {}

size_t BlockSums::SetOf(const ChunkId& file, uint64_t region) const {
  uint64_t hash = (file.inode * 0x9e3779b97f4a7c15) ^ (file.index * 0xff51afd7ed558ccd) ^ file.fs;
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93 + region;  // neighbours lie side by side
  return hash % sets_.size();
}

Result<RegionSums> BlockSums::Of(const ChunkId& file, uint64_t region) {
  size_t number = SetOf(file, region);
  Set& set = sets_[number];
  {
    std::lock_guard lock(locks_[number % kLocks]);
    for (const Entry& entry : set.entries) {
      if (entry.used && entry.region == region && entry.file == file) return entry.sums;
    }
  }
  TRY(auto stored, store_.Get(Table::kSums, SumsKey(file.fs, file.inode, file.index,
                                                    static_cast<uint32_t>(region))));
  RegionSums sums;
  if (stored) {
    TRY(sums, RegionSums::Decode(*stored));
  }
  Stored(file, region, sums);
  return sums;
}

void BlockSums::Put(Batch& batch, const ChunkId& file, uint64_t region, const RegionSums& sums) {
  batch.Put(Table::kSums, SumsKey(file.fs, file.inode, file.index, static_cast<uint32_t>(region)),
            sums.Encode());
}

void BlockSums::Stored(const ChunkId& file, uint64_t region, const RegionSums& sums) {
  size_t number = SetOf(file, region);
  Set& set = sets_[number];
  std::lock_guard lock(locks_[number % kLocks]);
  for (Entry& entry : set.entries) {
    if (!entry.used || entry.region != region || entry.file != file) continue;
    entry.sums = sums;
    return;
  }
  set.entries[set.next++ % kWays] = {file, static_cast<uint32_t>(region), true, sums};
}

Result<void> BlockSums::PutAlone(const ChunkId& file, uint64_t region, const RegionSums& sums) {
  Batch batch(store_);
  Put(batch, file, region, sums);
  TRY(store_.Write(batch));
  Stored(file, region, sums);
  return Ok();
}

void BlockSums::Forget(uint32_t fs) {
  for (size_t i = 0; i < sets_.size(); ++i) {
    std::lock_guard lock(locks_[i % kLocks]);
    for (Entry& entry : sets_[i].entries) {
      if (entry.used && entry.file.fs == fs) entry = Entry();
    }
  }
}

Result<void> BlockSums::Delete(Batch& batch, const ChunkId& file) const {
  std::string prefix = ChunkKey(file.fs, file.inode, file.index);
  std::vector<std::string> rows;
  TRY(store_.Scan(Table::kSums, prefix, After(prefix), [&](std::string_view key, auto) {
    rows.emplace_back(key);
    return rows.size() <= kRowsDeletedMax;
  }));
  if (rows.size() > kRowsDeletedMax) {
    batch.DeleteRange(Table::kSums, prefix, After(prefix));
    return Ok();
  }
  for (const std::string& row : rows) batch.Delete(Table::kSums, row);
  return Ok();
}

}  // namespace tarn::local
