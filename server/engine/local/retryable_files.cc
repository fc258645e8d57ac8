#include "server/engine/local/retryable_files.h"

#include <span>
#include <string>

#include "common/log.h"
#include "server/engine/local/health.h"

namespace tarn::local {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSReadRequest;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus Retryable(IOStatus status, const char* what, const std::string& path, uint64_t offset) {
  if (status.ok() || status.IsNotFound() || status.IsPathNotFound() || status.IsNotSupported()) {
    return status;
  }
  bool full = status.IsNoSpace();
  if (!full) ProcessHealth().CountError(what);
  // A full disk is told elsewhere.
  auto level = full ? spdlog::level::debug : spdlog::level::err;
  spdlog::log(level, "disk: {} {} at byte {}: {}", what, path, offset, status.ToString());
  if (full) status = IOStatus::IOError(kDiskFull, path);
  status.SetRetryable(true);
  status.SetDataLoss(false);
  return status;
}

class File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(std::unique_ptr<FSWritableFile> below, std::string path)
      : FSWritableFileOwnerWrapper(std::move(below)), path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Append(data, options, debug), "write");
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* debug) override {
    return Mark(target()->Append(data, options, info, debug), "write");
  }
  IOStatus PositionedAppend(const Slice& data, uint64_t offset, const IOOptions& options,
                            IODebugContext* debug) override {
    IOStatus status = target()->PositionedAppend(data, offset, options, debug);
    return Retryable(std::move(status), "write", path_, offset);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Truncate(size, options, debug), "cut");
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Close(options, debug), "close");
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Flush(options, debug), "write");
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return Mark(target()->RangeSync(offset, bytes, options, debug), "write");
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Sync(options, debug), "sync");
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Mark(target()->Fsync(options, debug), "sync");
  }

 private:
  IOStatus Mark(IOStatus status, const char* what) {
    if (status.ok()) return status;
    return Retryable(std::move(status), what, path_, target()->GetFileSize({}, nullptr));
  }
  const std::string path_;
};

class TableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  TableFile(std::unique_ptr<FSRandomAccessFile> below, std::string path)
      : FSRandomAccessFileOwnerWrapper(std::move(below)), path_(std::move(path)) {}

  IOStatus Read(uint64_t offset, size_t bytes, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* debug) const override {
    return Retryable(target()->Read(offset, bytes, options, result, scratch, debug), "read", path_,
                     offset);
  }
  IOStatus MultiRead(FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    IOStatus status = target()->MultiRead(requests, count, options, debug);
    for (FSReadRequest& request : std::span(requests, count)) {
      request.status = Retryable(std::move(request.status), "read", path_, request.offset);
    }
    return Retryable(std::move(status), "read", path_, 0);
  }
  IOStatus Prefetch(uint64_t offset, size_t bytes, const IOOptions& options,
                    IODebugContext* debug) override {
    return Retryable(target()->Prefetch(offset, bytes, options, debug), "read", path_, offset);
  }

 private:
  const std::string path_;
};

class Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(std::unique_ptr<FSDirectory> below, std::string path)
      : FSDirectoryWrapper(below.get()), below_(std::move(below)), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Retryable(below_->Fsync(options, debug), "sync", path_, 0);
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& directory) override {
    return Retryable(below_->FsyncWithDirOptions(options, debug, directory), "sync", path_, 0);
  }

 private:
  const std::unique_ptr<FSDirectory> below_;
  const std::string path_;
};

class Files final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "tarn.RetryableFiles"; }

  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    return Wrap<TableFile>(target()->NewRandomAccessFile(path, options, file, debug), "open", path,
                           file);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    return Wrap<File>(target()->NewWritableFile(path, options, file, debug), "make", path, file);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Wrap<File>(target()->ReopenWritableFile(path, options, file, debug), "make", path, file);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* directory, IODebugContext* debug) override {
    return Wrap<Directory>(target()->NewDirectory(path, options, directory, debug), "open", path,
                           directory);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    return Retryable(target()->RenameFile(from, to, options, debug), "rename", from, 0);
  }

 private:
  template <typename Wrapper, typename Handle>
  static IOStatus Wrap(IOStatus opened, const char* what, const std::string& path,
                       std::unique_ptr<Handle>* file) {
    if (!opened.ok()) return Retryable(std::move(opened), what, path, 0);
    *file = std::make_unique<Wrapper>(std::move(*file), path);
    return opened;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewRetryableFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below) {
  return std::make_shared<Files>(below);
}

}  // namespace tarn::local
