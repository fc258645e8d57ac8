// SimulatedDisk: a file system in memory that forgets what was not synced when its power is cut, as
// the worst of real ones do, and that fails on demand. For tests and simulations.
//
// What a cut of power leaves of a file: what its last Sync found, and of each later change all,
// nothing, or some of its sectors (512 bytes or 4 KiB), in any combination; its size apart from its
// bytes. Of a directory: what its last SyncDirectory found, and the first so many of the later
// changes, since file systems with a journal keep that order, and RocksDB relies on it; a rename is
// one change. Directories know nothing of each other, and syncing a new file does not make its name
// durable.
//
// A hook sees every call before it is done, and may let it fail, wait, or cut the power just there:
//
//   disk.SetHook([&](const SimulatedDisk::Call& call) {
//     if (call.kind == Kind::kSync) images.push_back(disk.CutPower(seed++));
//     return call.kind == Kind::kWrite && full ? ENOSPC : 0;
//   });
//
// A Sync that the hook fails loses a part of what was written since the last good one for good, as
// Linux does: the next Sync succeeds, and reads may still show what is lost.
//
// Everything is decided by the seeds and the order of the calls. Threads: any; the hook is called
// without a lock, by the thread that makes the call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "server/engine/local/disk.h"

namespace tarn::local {

class SimulatedDisk final : public Disk {
 public:
  enum class Kind {
    kOpen,
    kRead,
    kWrite,
    kResize,
    kAllocate,
    kPunch,
    kSync,
    kSyncDirectory,
    kRemove,  // also of directories
    kRename,
    kMakeDirectory,
    kStat,
    kList,
  };
  struct Call {
    Kind kind;
    const std::string& path;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };
  // 0: go on. Else the errno to fail with.
  using Hook = std::function<int(const Call&)>;

  static constexpr uint64_t kCapacityDefault = uint64_t{1} << 30;

  explicit SimulatedDisk(uint64_t seed = 1, uint64_t capacity = kCapacityDefault);
  ~SimulatedDisk() override;

  void SetHook(Hook hook);
  // What is left after a cut of power at this moment, as a disk of its own. This one goes on, so
  // that the engine on it can be ended.
  std::unique_ptr<SimulatedDisk> CutPower(uint64_t seed) const;
  // What a killed process leaves, as a disk of its own: all is there, and synced or not as it was.
  std::unique_ptr<SimulatedDisk> Copy() const;
  // Bytes, in pages of 4 KiB. Less than is in use: full, as when others filled the disk.
  void SetCapacity(uint64_t bytes);
  // So much of it is taken by files of others, which are not seen here.
  void SetOthers(uint64_t bytes);
  uint64_t used() const;
  // Changes bits of a stored byte. False: there is no such byte.
  bool Flip(const std::string& path, uint64_t offset, uint8_t mask);
  // The paths of all files, in order.
  std::vector<std::string> Files() const;
  // Calls of Sync and SyncDirectory so far.
  uint64_t syncs() const;

  std::unique_ptr<DiskFile> Open(const std::string& path, Mode mode) override;
  int Remove(const std::string& path) override;
  int RemoveDirectory(const std::string& path) override;
  int Rename(const std::string& from, const std::string& to) override;
  int MakeDirectory(const std::string& path) override;
  int SyncDirectory(const std::string& path) override;
  int Stat(const std::string& path, Type* type, uint64_t* size) override;
  int List(const std::string& path, std::vector<Entry>* entries) override;
  int GetSpace(const std::string& path, Space* space) override;
  rocksdb::Env* DatabaseEnv() override { return env_.get(); }

 private:
  struct Node;
  struct NameChange;
  class Handle;
  class PowerCut;
  class Copies;
  using NodePtr = std::shared_ptr<Node>;

  // 0, or -1 and errno.
  int Ask(const Call& call) const;
  // The node of a path; its directory and last name. Null and errno. mutex_ held.
  NodePtr Find(const std::string& path) const;
  NodePtr FindAbove(const std::string& path, std::string* name) const;
  void Change(NameChange change);
  // False: no space for so many more pages.
  bool Fits(uint64_t pages) const {
    return used_pages_ + pages + others_ / kPage <= capacity_ / kPage;
  }
  void Count(Node& node);
  int FailSync(Node& node);

  static constexpr uint64_t kPage = 4096;

  mutable std::mutex mutex_;
  std::shared_ptr<const Hook> hook_;  // guarded by mutex_, as is all that follows
  std::mt19937_64 random_;
  uint64_t capacity_;
  uint64_t others_ = 0;
  uint64_t used_pages_ = 0;
  uint64_t syncs_ = 0;
  NodePtr root_;
  std::vector<NameChange> unsynced_names_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace tarn::local
