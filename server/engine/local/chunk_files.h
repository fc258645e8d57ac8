// ChunkFiles: the files below DATA_DIR/chunks, each at most kChunkBytes of one file, and a bounded
// cache of their descriptors.
//
// Threads: any. Errors: kNoSpace, kIo.
#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/result.h"
#include "server/engine/local/chunk_map.h"
#include "server/engine/local/disk.h"
#include "server/engine/local/file_system_keys.h"

namespace tarn::local {

struct ChunkId {
  uint32_t fs = 0;
  uint64_t inode = 0;
  uint64_t index = 0;
  auto operator<=>(const ChunkId&) const = default;
};

// An open chunk file; closed with its last pointer. Bytes are read and written by whole blocks.
//
// With keys, each block is encrypted for its place in its file on the way to the disk. A block that
// is all zeros there is one of Reserve and reads as zeros: of the 2^32768 ciphertexts of a block,
// one is that, so none that was written is taken for it.
class ChunkFile {
 public:
  // `made`: its name may not be on stable storage. `keys`: nullptr: it is not encrypted.
  ChunkFile(Disk& disk, std::unique_ptr<DiskFile> file, std::string path, bool made,
            const ChunkId& id = {}, KeysPtr keys = {})
      : disk_(disk),
        file_(std::move(file)),
        path_(std::move(path)),
        id_(id),
        keys_(std::move(keys)),
        made_(made) {}

  // The whole buffer: kCorrupt when the file is shorter.
  Result<void> Read(uint64_t offset, std::span<std::byte> buffer) const;
  // The next Read of these bytes asks the disk, if it can be had.
  void DropCache(uint64_t offset, uint64_t bytes) const { file_->DropCache(offset, bytes); }
  // At most kWriteBytesMax, so that bytes are sealed, copied and, by the caller, summed while they
  // are in the processor's cache. (Larger writes would also be given larger folios: in a virtual
  // machine that returns free memory to its host, those cost a fault in the host each.)
  Result<void> Write(uint64_t offset, std::span<const std::byte> data);
  static constexpr size_t kWriteBytesMax = 128u << 10;
  // Zeros, whatever was there, for which the disk has room from now on.
  Result<void> Reserve(uint64_t offset, uint64_t bytes);
  // Gives the room of all other blocks back to the disk. What they read as is undefined.
  Result<void> TrimTo(const ChunkMap& used);
  // To stable storage: the bytes, and the name if the file is new. When it fails, what was written
  // since the last good one may be lost, though the next one succeeds.
  Result<void> Sync();
  uint64_t failed_syncs() const { return failed_syncs_; }

 private:
  Result<void> Truncate(uint64_t bytes);
  Result<void> WriteRaw(uint64_t offset, std::span<const std::byte> data);
  // By their place in the file.
  Result<void> Encrypt(uint64_t offset, std::span<const std::byte> data, std::byte* out) const;
  Result<void> Decrypt(uint64_t offset, std::span<std::byte> data) const;

  Disk& disk_;
  const std::unique_ptr<DiskFile> file_;
  const std::string path_;
  const ChunkId id_;
  const KeysPtr keys_;
  std::atomic<bool> made_;
  std::atomic<uint64_t> failed_syncs_{0};
  std::atomic<uint64_t> unstarted_{0};  // bytes whose way to the disk has not begun
};

class ChunkFiles {
 public:
  // `after_crash`: names that a crashed process made may not be on the disk, so they are synced
  // with the first sync of their file.
  ChunkFiles(Disk& disk, std::string directory, size_t open_max, bool after_crash,
             const KeyRing& keys);

  // nullptr: there is none, and `create` is false. kUnavailable: the file system is locked.
  Result<std::shared_ptr<ChunkFile>> Open(const ChunkId& id, bool create);
  std::string PathOf(const ChunkId& id) const;
  // The file's length; nothing when there is none.
  std::optional<uint64_t> SizeOf(const ChunkId& id) const;
  // Fine when it is not there.
  Result<void> Remove(const ChunkId& id);
  // All of one file system.
  Result<void> RemoveFileSystem(uint32_t fs);
  // All of one file system that are open.
  void Close(uint32_t fs);
  // From now on it is as after a crash: files were closed that were not synced.
  void NoteLoss() { after_crash_ = true; }
  // Every chunk file of a file system. Return false to stop.
  Result<void> Scan(uint32_t fs, const std::function<bool(const ChunkId&)>& visit) const;

 private:
  struct Hash {
    size_t operator()(const ChunkId& id) const {
      return static_cast<size_t>((id.inode * 0x9e3779b97f4a7c15) ^ (id.index * 0xff51afd7ed558ccd) ^
                                 id.fs);
    }
  };
  struct Shard {
    std::mutex mutex;
    std::list<std::pair<ChunkId, std::shared_ptr<ChunkFile>>> recent;  // newest first
    std::unordered_map<ChunkId, decltype(recent)::iterator, Hash> open;
  };
  static constexpr size_t kShards = 16;

  Result<void> MakeFolder(const std::string& path);
  // Until the folder's name, and those above it, are on stable storage.
  Result<void> WaitForFolder(const std::string& path);
  std::string DirectoryOf(const ChunkId& id) const;
  Shard& shard(const ChunkId& id) { return shards_[(Hash()(id) >> 20) % kShards]; }

  Disk& disk_;
  const std::string root_;
  const size_t open_max_;  // of a shard
  std::atomic<bool> after_crash_;
  const KeyRing& keys_;
  std::array<Shard, kShards> shards_;
  std::mutex folders_mutex_;                         // after a shard's
  std::unordered_set<std::string> durable_folders_;  // after a crash; guarded by folders_mutex_
};

// Makes a directory, and those above it, durably.
Result<void> MakeDirectories(Disk& disk, const std::string& path);
std::string DirectoryAbove(const std::string& path);
Result<void> SyncDirectory(Disk& disk, const std::string& path);
// The error that errno tells, logged unless the disk is full. `what` was done to `path`.
Error SystemError(const char* what, const std::string& path);
// The same at a byte of a file.
Error SystemError(const char* what, const std::string& path, uint64_t offset);

}  // namespace tarn::local
