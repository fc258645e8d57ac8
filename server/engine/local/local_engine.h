// The durable engine: RocksDB for names, attributes and small files, chunk files for the rest.
//
// One process owns a data directory (kInUse). Formats: docs/engine-format.md. Durability: see
// vfs::FileSystem; concurrent changes share one sync of the log (Store::Sync). Threads: any. The
// engine runs one thread of its own, which reclaims deleted trees and writes old dirty files back.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "server/vfs/file_system.h"

namespace tarn {

namespace local {
class Disk;
}

struct LocalOptions {
  std::string data_dir;          // made when it is not there, mode 0700
  const Clock* clock = nullptr;  // nullptr: SystemClock()
  local::Disk* disk = nullptr;   // nullptr: local::SystemDisk(). Outlives the engine

  // Limits. The defaults suit a server with 2 GiB of memory.
  size_t block_cache_bytes = 256u << 20;
  size_t write_buffer_bytes = 64u << 20;  // of each of the larger tables
  size_t inodes_cached = 200'000;         // about 400 bytes each
  size_t files_open = 4096;               // chunk files kept open
  size_t dirty_files = 4096;              // files with unstable writes; more are written back
  size_t dirty_bytes = 64u << 20;         // of small files not yet in the log
  // Small writes whose blocks are in the log and in memory, and not in their files yet. A start
  // reads them again.
  size_t journal_bytes = 64u << 20;
  std::chrono::milliseconds journal_apply_after{2000};  // or sooner, when much of it is used
  size_t sums_cached_bytes = 32u << 20;                 // checksums of about 20 GiB of file data
  // Kept free on the disk, so that removing still works when it is full for writers.
  uint64_t reserve_bytes = 64u << 20;
  std::chrono::milliseconds maintenance_interval{1000};
  // A file is written back this long after its first unstable write.
  std::chrono::seconds write_back_after{30};
  // False: nothing is done in the background but by MaintainLocalEngine, for simulations.
  bool own_thread = true;
  // For tests: names hash to so many bits, so that collisions happen.
  unsigned name_hash_bits = 62;
};

// kInUse: another process has it open. kCorrupt: what is stored there cannot be understood.
// kNotSupported: a newer version wrote it. kIo, kNoSpace: the disk.
Result<std::unique_ptr<vfs::Engine>> OpenLocalEngine(const LocalOptions& options);
// One round of what the engine's own thread does, for an engine that has none.
void MaintainLocalEngine(vfs::Engine& engine);

}  // namespace tarn
