// OverwriteMarks: which regions of chunk files are being overwritten in place.
//
// A block that the database has a sum of is written over before its new sum is stored. Should the
// process end in between, the block and its sum disagree, and that is no damage. So the region is
// marked durably before the first byte is written; after a crash the blocks of marked regions, and
// they alone, get new sums (LocalFileSystem::SettleOverwrites). Marks stay while a region is in
// use, so that the next overwrite does not wait again. How many there are is bound by how many
// chunk files may be dirty at once (fs_flush.cc).
//
// Threads: any. Errors: those of Store.
#pragma once

#include <bitset>
#include <map>
#include <mutex>
#include <vector>

#include "common/clock.h"
#include "server/engine/local/block_sums.h"

namespace tarn::local {

class OverwriteMarks {
 public:
  OverwriteMarks(Store& store, uint32_t fs, const Clock& clock);
  // Those that the last run left.
  Result<void> Load();
  // At an orderly end, with all data stored: those that are not from a crash mean nothing any more.
  Result<void> End();

  struct Range {
    uint64_t inode = 0;
    uint64_t index = 0;
    uint64_t first = 0;  // regions
    uint64_t after = 0;
  };
  bool Covers(const Range& range);
  // Marks more than is asked for where that spares waiting. Waits for the log; no lock may be held.
  Result<void> Mark(const Range& range);
  // Left by a crash and not settled: a wrong sum is no damage.
  bool FromCrash(uint64_t inode, uint64_t index, uint64_t region);

  // Chunks that a crash left marked, and that one of them is settled. Their rows stay until they
  // are idle.
  std::vector<Range> Crashed();
  void Settled(uint64_t inode, uint64_t index);
  // Those whose marks nobody used for a while.
  std::vector<Range> Idle();
  // Takes a chunk's marks away, unless somebody is just adding some: its lock is held, and each of
  // its blocks is as its stored sum says.
  Result<void> Unmark(uint64_t inode, uint64_t index);

 private:
  using Bits = std::bitset<kChunkRegions>;
  struct Marks {
    Bits stored;   // in the database
    Bits durable;  // and on the disk
    Bits crashed;  // from the last run
    uint32_t waiting = 0;
    Clock::Nanoseconds used{0};
  };
  using Key = std::pair<uint64_t, uint64_t>;  // inode, index

  Store& store_;
  const uint32_t fs_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<Key, Marks> marks_;  // guarded by mutex_
};

}  // namespace tarn::local
