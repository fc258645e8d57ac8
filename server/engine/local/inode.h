// Inode: one file in memory; and a bounded cache of them, in which each file is at most once.
//
// Locks, in this order: Inode::flush_mutex, then Inode::mutex (several: by number, see LockSet),
// then a cache shard's or a list's mutex. None is held while waiting for a sync of the log.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/engine/local/block_sums.h"
#include "server/engine/local/chunk_files.h"
#include "server/engine/local/chunk_row.h"
#include "server/engine/local/format.h"
#include "server/engine/local/store.h"

namespace tarn::local {

// What the database holds about a file's data. Callers see newer values while writes are unstable.
struct DataState {
  uint64_t size = 0;
  uint64_t space_used = 0;
  Place place = Place::kInline;
};

// A block's newest bytes. Never changed once others may hold it.
using BlockImage = std::shared_ptr<std::array<std::byte, kBlockBytes>>;

// A block that was written in memory, and in the database's journal, but not in its chunk file yet.
struct JournalBlock {
  BlockImage image;      // nullptr: it was written in place or freed; a row may have to go
  bool dirty = false;    // newer than in the journal
  bool storing = false;  // a flush is about to store it, or to delete its row
  bool logged = false;   // the journal has a row
};

// A regular file's data as far as it is in memory.
struct FileData {
  // nullptr: there is none.
  JournalBlock* FindImage(uint64_t index, uint64_t block);
  // It is newer than in the journal: the next flush stores it.
  void SetDirty(uint64_t index, uint64_t block, JournalBlock& image);

  struct Chunk : ChunkRow {
    ChunkMap stored;  // as the database has `map`
    bool map_dirty = false;
    bool storing = false;                 // a flush is about to store the map
    std::shared_ptr<ChunkFile> unsynced;  // written since its last sync
    uint64_t failed_syncs = 0;            // of it, when that began
    bool lost = false;                    // one failed since then, see fs_mend.cc
    // By region: sums of blocks written in place since the last flush, and those it is storing.
    std::map<uint64_t, RegionSums> sums;
    std::map<uint64_t, RegionSums> storing_sums;
    std::map<uint64_t, JournalBlock> journal;  // by block
    bool idle() const {
      return !map_dirty && !storing && !unsynced && sums.empty() && storing_sums.empty() &&
             journal.empty() && !lost;
    }
  };
  std::map<uint64_t, Chunk> chunks;  // by index; those used so far
  size_t dirty_images = 0;           // of all chunks
  bool cut_journal = false;          // the journal has rows of chunks that were cut off
  bool lost = false;                 // a chunk is
  // Chunks and blocks whose rows of the journal the next flush has to put or delete, so that it
  // need not look at all of `journal`. Some may be there twice, or need nothing any more.
  std::vector<std::pair<uint64_t, uint64_t>> changed_images;
  // Stored chunks from here on were cut off, and the database does not know it yet.
  std::optional<uint64_t> cut_from;
  std::optional<std::string> inline_bytes;  // newer than in the database
};

struct Inode {
  explicit Inode(uint64_t n) : number(n) {}

  const uint64_t number;
  // Guards everything below that says nothing else.
  std::shared_mutex mutex;
  std::optional<Error> gone;  // it was removed, or could not be loaded
  InodeRecord record;
  DataState stored;
  uint64_t change_stored = 0;  // the change attribute in the database, never below the one shown
  bool dirty = false;          // data or times are newer than in the database
  std::unique_ptr<FileData> data;
  Store::Ticket ticket = 0;  // the last batch about this file
  // Syncs of its chunk files that failed. What was written before one of them may be lost.
  std::atomic<uint32_t> losses{0};

  // Taken by everything that stores data state, over the sync of chunk files.
  std::mutex flush_mutex;
  // The directory above, for walks upwards without locks.
  std::atomic<uint64_t> parent{0};
  std::atomic<bool> used{true};  // since the cache last looked

  std::mutex pin_mutex;
  uint32_t pins = 0;            // guarded by pin_mutex
  std::shared_ptr<Inode> self;  // guarded by pin_mutex: keeps a pinned file in the cache

  bool IsDirectory() const { return record.type == vfs::FileType::kDirectory; }
  vfs::FileId id() const { return {number, record.generation}; }
  vfs::Attributes attributes() const;
  // What to store when only metadata changes: the data fields stay as they are stored.
  InodeRecord StoredForm() const;
  bool pinned();
  // kIo: `losses` is not what it was before something was written.
  Result<void> CheckLosses(uint32_t before) const;
};

using InodePtr = std::shared_ptr<Inode>;

// Locks several inodes at once in the order of their numbers.
class LockSet {
 public:
  LockSet() = default;
  ~LockSet() { Unlock(); }
  LockSet(const LockSet&) = delete;
  LockSet& operator=(const LockSet&) = delete;
  void Lock(std::vector<InodePtr> inodes);
  void Unlock();

 private:
  std::vector<InodePtr> inodes_;
};

class InodeCache {
 public:
  InodeCache(Store& store, uint32_t fs, size_t limit);
  ~InodeCache();

  // The one object of that number; loads it. It may be `gone`: look when its lock is held.
  // kStale: there is none. kCorrupt, kIo.
  Result<InodePtr> Find(uint64_t number);
  // A new file that nobody knows yet.
  void Add(const InodePtr& inode);
  // Forgets a file that is gone.
  void Drop(uint64_t number);
  // The object if it is in memory.
  InodePtr Peek(uint64_t number);
  size_t size() const { return size_.load(); }

 private:
  struct Shard {
    std::shared_mutex mutex;
    std::unordered_map<uint64_t, InodePtr> inodes;
    uint64_t sweep = 0;  // next bucket to look at
  };
  static constexpr size_t kShards = 64;
  Shard& shard(uint64_t number) { return shards_[number % kShards]; }
  void Load(Inode& inode);
  void Evict(Shard& shard);

  Store& store_;
  const uint32_t fs_;
  const size_t shard_limit_;
  std::atomic<size_t> size_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace tarn::local
