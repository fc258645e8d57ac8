// Disk: all that the engine asks of the file system below it. The seam at which tests cut the
// power, tear writes, fill the disk and break it (testing/).
//
// Calls are the system calls of the same name, with their errors: -1, or null, and errno. Paths are
// absolute. Threads: any, also on one DiskFile; the calls of the engine that depend on each other's
// order are made in that order. What is on stable storage when:
//   - bytes and size of a file: after Sync of it;
//   - a name that was made, removed or renamed: after SyncDirectory of its directory, which also
//     holds for the directory itself in the one above.
// After a Sync that failed, everything written since the last good one counts as lost, and a later
// Sync that succeeds says nothing about it.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rocksdb {
class Env;
}

namespace tarn::local {

// An open file; closed by its destructor.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // May be short: at the end of the file.
  virtual ssize_t Read(uint64_t offset, std::span<std::byte> buffer) = 0;
  // May be short. At most IOV_MAX parts.
  virtual ssize_t Write(uint64_t offset, std::span<const iovec> parts) = 0;
  virtual int Truncate(uint64_t bytes) = 0;
  // Room for these bytes is kept; the file grows to hold them. What was a hole reads as zero.
  virtual int Allocate(uint64_t offset, uint64_t bytes) = 0;
  // They become a hole; the size stays. EOPNOTSUPP: the file system cannot.
  virtual int Punch(uint64_t offset, uint64_t bytes) = 0;
  // fdatasync.
  virtual int Sync() = 0;
  // The way to the disk of what was written begins. Promises nothing.
  virtual void StartWriteback() = 0;
  virtual int64_t Size() = 0;
  // What memory caches of clean bytes may be dropped, so that the next Read asks the disk.
  virtual void DropCache(uint64_t /*offset*/, uint64_t /*bytes*/) {}
  // Alone among all who open the file, also in other processes, until it is closed. EWOULDBLOCK:
  // another has it.
  virtual int Lock() = 0;
};

class Disk {
 public:
  enum class Mode {
    kRead,
    kWrite,     // and read; the file is there
    kCreate,    // and read and write; made with mode 0600 when it is not there
    kTruncate,  // kCreate, and emptied
  };
  enum class Type { kFile, kDirectory };
  struct Entry {
    std::string name;
    Type type = Type::kFile;
  };
  struct Space {
    uint64_t total = 0;  // bytes
    uint64_t free = 0;   // for this user
  };

  virtual ~Disk() = default;
  virtual std::unique_ptr<DiskFile> Open(const std::string& path, Mode mode) = 0;
  virtual int Remove(const std::string& path) = 0;
  // An empty one.
  virtual int RemoveDirectory(const std::string& path) = 0;
  virtual int Rename(const std::string& from, const std::string& to) = 0;
  // Mode 0700.
  virtual int MakeDirectory(const std::string& path) = 0;
  virtual int SyncDirectory(const std::string& path) = 0;
  // `size` may be null.
  virtual int Stat(const std::string& path, Type* type, uint64_t* size) = 0;
  // All entries but . and .., in no order.
  virtual int List(const std::string& path, std::vector<Entry>* entries) = 0;
  virtual int GetSpace(const std::string& path, Space* space) = 0;
  // How RocksDB reaches the same files. Lives as long as this.
  virtual rocksdb::Env* DatabaseEnv() = 0;
};

// The file system of this machine.
Disk& SystemDisk();

// The whole file. -1 and errno.
int ReadWholeFile(Disk& disk, const std::string& path, std::string* bytes);
// Everything below a directory, and itself. Fine when it is not there.
int RemoveTree(Disk& disk, const std::string& path);

}  // namespace tarn::local
