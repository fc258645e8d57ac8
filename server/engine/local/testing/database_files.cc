#include "server/engine/local/testing/database_files.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cerrno>
#include <cstring>

namespace tarn::local {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// What errno tells, as RocksDB's own file system says it.
IOStatus Failed(const std::string& path) {
  std::string text = std::strerror(errno);
  if (errno == ENOENT) return IOStatus::PathNotFound(path, text);
  if (errno != ENOSPC) return IOStatus::IOError(path, text);
  IOStatus status = IOStatus::NoSpace(path, text);
  status.SetRetryable(true);
  return status;
}

IOStatus ReadAt(DiskFile& file, const std::string& path, uint64_t offset, size_t bytes,
                Slice* result, char* scratch) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t got =
        file.Read(offset + done, std::as_writable_bytes(std::span(scratch + done, bytes - done)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  *result = Slice(scratch, done);
  return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  SequentialFile(std::unique_ptr<DiskFile> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  IOStatus Read(size_t bytes, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    IOStatus status = ReadAt(*file_, path_, at_, bytes, result, scratch);
    if (status.ok()) at_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t bytes) override {
    at_ += bytes;
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<DiskFile> file_;
  const std::string path_;
  uint64_t at_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccessFile(std::unique_ptr<DiskFile> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  IOStatus Read(uint64_t offset, size_t bytes, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadAt(*file_, path_, offset, bytes, result, scratch);
  }

 private:
  const std::unique_ptr<DiskFile> file_;
  const std::string path_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  using rocksdb::FSWritableFile::Append;
  using rocksdb::FSWritableFile::PositionedAppend;
  // `reused`: it may hold more than is written now, which Close cuts off.
  WritableFile(std::unique_ptr<DiskFile> file, std::string path, uint64_t at, bool reused)
      : file_(std::move(file)), path_(std::move(path)), at_(at), reused_(reused) {}

  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    IOStatus status = WriteAt(at_, data);
    if (status.ok()) at_ += data.size();
    return status;
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions&,
                            IODebugContext*) override {
    return WriteAt(offset, data);
  }
  IOStatus Truncate(uint64_t bytes, const IOOptions&, IODebugContext*) override {
    if (file_->Truncate(bytes) != 0) return Failed(path_);
    at_ = bytes;
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    if (!file_) return IOStatus::OK();
    IOStatus status;
    if (reused_ && file_->Truncate(at_) != 0) status = Failed(path_);
    file_.reset();
    return status;
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return file_->Sync() == 0 ? IOStatus::OK() : Failed(path_);
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return at_; }

 private:
  IOStatus WriteAt(uint64_t at, const Slice& data) {
    for (size_t done = 0; done < data.size();) {
      iovec part{const_cast<char*>(data.data()) + done, data.size() - done};
      ssize_t wrote = file_->Write(at + done, {&part, 1});
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return Failed(path_);
      done += static_cast<size_t>(wrote);
    }
    return IOStatus::OK();
  }

  std::unique_ptr<DiskFile> file_;
  const std::string path_;
  uint64_t at_;
  const bool reused_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return disk_.SyncDirectory(path_) == 0 ? IOStatus::OK() : Failed(path_);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  Disk& disk_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::unique_ptr<DiskFile> file) : file_(std::move(file)) {}

 private:
  const std::unique_ptr<DiskFile> file_;
};

class Files final : public rocksdb::FileSystem {
 public:
  explicit Files(Disk& disk) : disk_(disk) {}
  const char* Name() const override { return "tarn.disk"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    auto file = disk_.Open(path, Disk::Mode::kRead);
    if (!file) return Failed(path);
    *result = std::make_unique<SequentialFile>(std::move(file), path);
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = disk_.Open(path, Disk::Mode::kRead);
    if (!file) return Failed(path);
    *result = std::make_unique<RandomAccessFile>(std::move(file), path);
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return OpenWritable(path, Disk::Mode::kTruncate, false, false, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    return OpenWritable(path, Disk::Mode::kCreate, true, false, result);
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                             const FileOptions&, std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext*) override {
    if (disk_.Rename(old_path, path) != 0) return Failed(old_path);
    return OpenWritable(path, Disk::Mode::kWrite, false, true, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    if (disk_.Stat(path, nullptr, nullptr) != 0) return Failed(path);
    *result = std::make_unique<Directory>(disk_, path);
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (disk_.Stat(path, nullptr, nullptr) == 0) return IOStatus::OK();
    return errno == ENOENT ? IOStatus::NotFound() : Failed(path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    std::vector<Disk::Entry> entries;
    if (disk_.List(path, &entries) != 0) return Failed(path);
    result->clear();
    for (Disk::Entry& entry : entries) result->push_back(std::move(entry.name));
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return disk_.Remove(path) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus Truncate(const std::string& path, size_t bytes, const IOOptions&,
                    IODebugContext*) override {
    auto file = disk_.Open(path, Disk::Mode::kWrite);
    return file && file->Truncate(bytes) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return disk_.MakeDirectory(path) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    bool there = disk_.MakeDirectory(path) == 0 || errno == EEXIST;
    return there ? IOStatus::OK() : Failed(path);
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return disk_.RemoveDirectory(path) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* bytes,
                       IODebugContext*) override {
    return disk_.Stat(path, nullptr, bytes) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return disk_.Stat(path, nullptr, nullptr) == 0 ? IOStatus::OK() : Failed(path);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return disk_.Rename(from, to) == 0 ? IOStatus::OK() : Failed(from);
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto file = disk_.Open(path, Disk::Mode::kCreate);
    if (!file || file->Lock() != 0) return Failed(path);
    *lock = new Lock(std::move(file));
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("GetTestDirectory");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    Disk::Space space;
    if (disk_.GetSpace(path, &space) != 0) return Failed(path);
    *bytes = space.free;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is,
                       IODebugContext*) override {
    Disk::Type type = Disk::Type::kFile;
    if (disk_.Stat(path, &type, nullptr) != 0) return Failed(path);
    *is = type == Disk::Type::kDirectory;
    return IOStatus::OK();
  }

 private:
  IOStatus OpenWritable(const std::string& path, Disk::Mode mode, bool at_end, bool reused,
                        std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = disk_.Open(path, mode);
    if (!file) return Failed(path);
    int64_t at = at_end ? file->Size() : 0;
    if (at < 0) return Failed(path);
    *result =
        std::make_unique<WritableFile>(std::move(file), path, static_cast<uint64_t>(at), reused);
    return IOStatus::OK();
  }

  Disk& disk_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> MakeDatabaseEnv(Disk& disk) {
  return rocksdb::NewCompositeEnv(std::make_shared<Files>(disk));
}

}  // namespace tarn::local
