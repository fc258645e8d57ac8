#include "server/engine/local/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/env.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/waiting.h"

namespace tarn::local {
namespace {

class SystemFile final : public DiskFile {
 public:
  explicit SystemFile(int fd) : fd_(fd) {}
  ~SystemFile() override { ::close(fd_); }
  SystemFile(const SystemFile&) = delete;
  SystemFile& operator=(const SystemFile&) = delete;

  ssize_t Read(uint64_t offset, std::span<std::byte> buffer) override {
    iovec part{buffer.data(), buffer.size()};
    auto at = static_cast<off_t>(offset);
    ssize_t cached = ::preadv2(fd_, &part, 1, at, RWF_NOWAIT);
    if (cached >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP)) return cached;
    AboutToWait();
    return ::pread(fd_, buffer.data(), buffer.size(), at);
  }
  ssize_t Write(uint64_t offset, std::span<const iovec> parts) override {
    return ::pwritev(fd_, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
  }
  int Truncate(uint64_t bytes) override { return ::ftruncate(fd_, static_cast<off_t>(bytes)); }
  int Allocate(uint64_t offset, uint64_t bytes) override {
    int error = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    if (error == 0) return 0;
    errno = error;
    return -1;
  }
  int Punch(uint64_t offset, uint64_t bytes) override {
    return ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(bytes));
  }
  int Sync() override { return ::fdatasync(fd_); }
  void StartWriteback() override { (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE); }
  void DropCache(uint64_t offset, uint64_t bytes) override {
    (void)::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                          POSIX_FADV_DONTNEED);
  }
  int64_t Size() override {
    struct stat now {};
    return ::fstat(fd_, &now) == 0 ? now.st_size : -1;
  }
  int Lock() override { return ::flock(fd_, LOCK_EX | LOCK_NB); }

 private:
  const int fd_;
};

int FlagsOf(Disk::Mode mode) {
  switch (mode) {
    case Disk::Mode::kRead:
      return O_RDONLY | O_CLOEXEC;
    case Disk::Mode::kWrite:
      return O_RDWR | O_CLOEXEC;
    case Disk::Mode::kCreate:
      return O_RDWR | O_CREAT | O_CLOEXEC;
    case Disk::Mode::kTruncate:
      return O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
  }
  return O_RDONLY;
}

class RealDisk final : public Disk {
 public:
  std::unique_ptr<DiskFile> Open(const std::string& path, Mode mode) override {
    int fd = ::open(path.c_str(), FlagsOf(mode), 0600);
    return fd < 0 ? nullptr : std::make_unique<SystemFile>(fd);
  }
  int Remove(const std::string& path) override { return ::unlink(path.c_str()); }
  int RemoveDirectory(const std::string& path) override { return ::rmdir(path.c_str()); }
  int Rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str());
  }
  int MakeDirectory(const std::string& path) override { return ::mkdir(path.c_str(), 0700); }
  int SyncDirectory(const std::string& path) override {
    int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int status = ::fsync(fd);
    int error = errno;
    ::close(fd);
    errno = error;
    return status;
  }
  int Stat(const std::string& path, Type* type, uint64_t* size) override {
    struct stat now {};
    if (::stat(path.c_str(), &now) != 0) return -1;
    if (type != nullptr) *type = S_ISDIR(now.st_mode) ? Type::kDirectory : Type::kFile;
    if (size != nullptr) *size = static_cast<uint64_t>(now.st_size);
    return 0;
  }
  int List(const std::string& path, std::vector<Entry>* entries) override;
  int GetSpace(const std::string& path, Space* space) override {
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) != 0) return -1;
    space->total = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
    space->free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    return 0;
  }
  // RocksDB's own way to files: it maps and reads ahead as suits it.
  rocksdb::Env* DatabaseEnv() override { return rocksdb::Env::Default(); }
};

int RealDisk::List(const std::string& path, std::vector<Entry>* entries) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return -1;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    Type type = entry->d_type == DT_DIR ? Type::kDirectory : Type::kFile;
    if (entry->d_type == DT_UNKNOWN && Stat(path + "/" + name, &type, nullptr) != 0) {
      type = Type::kFile;
    }
    entries->push_back({std::move(name), type});
    errno = 0;
  }
  int error = errno;
  ::closedir(directory);
  errno = error;
  return error == 0 ? 0 : -1;
}

}  // namespace

Disk& SystemDisk() {
  static RealDisk disk;
  return disk;
}

int ReadWholeFile(Disk& disk, const std::string& path, std::string* bytes) {
  auto file = disk.Open(path, Disk::Mode::kRead);
  if (!file) return -1;
  bytes->clear();
  std::byte buffer[4096];
  for (;;) {
    ssize_t got = file->Read(bytes->size(), buffer);
    if (got < 0) return -1;
    if (got == 0) return 0;
    bytes->append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(got));
  }
}

int RemoveTree(Disk& disk, const std::string& path) {
  std::vector<Disk::Entry> entries;
  if (disk.List(path, &entries) != 0) return errno == ENOENT ? 0 : -1;
  for (const Disk::Entry& entry : entries) {
    std::string below = path + "/" + entry.name;
    int status =
        entry.type == Disk::Type::kDirectory ? RemoveTree(disk, below) : disk.Remove(below);
    if (status != 0 && errno != ENOENT) return -1;
  }
  return disk.RemoveDirectory(path);
}

}  // namespace tarn::local
