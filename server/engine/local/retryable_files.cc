#include "server/engine/local/retryable_files.h"

#include <string>

#include "common/log.h"

namespace tarn::local {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus Retryable(IOStatus status, const char* what, const std::string& path, uint64_t offset) {
  if (status.ok() || status.IsNotFound() || status.IsPathNotFound() || status.IsNotSupported()) {
    return status;
  }
  status.SetRetryable(true);
  status.SetDataLoss(false);
  // A full disk is told elsewhere.
  auto level = status.IsNoSpace() ? spdlog::level::debug : spdlog::level::err;
  spdlog::log(level, "disk: {} {} at byte {}: {}", what, path, offset, status.ToString());
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
    return Mark(target()->PositionedAppend(data, offset, options, debug), "write");
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

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    return Wrap(target()->NewWritableFile(path, options, file, debug), path, file);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Wrap(target()->ReopenWritableFile(path, options, file, debug), path, file);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* directory, IODebugContext* debug) override {
    IOStatus status = target()->NewDirectory(path, options, directory, debug);
    if (!status.ok()) return Retryable(std::move(status), "open", path, 0);
    *directory = std::make_unique<Directory>(std::move(*directory), path);
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    return Retryable(target()->RenameFile(from, to, options, debug), "rename", from, 0);
  }

 private:
  static IOStatus Wrap(IOStatus opened, const std::string& path,
                       std::unique_ptr<FSWritableFile>* file) {
    if (!opened.ok()) return Retryable(std::move(opened), "make", path, 0);
    *file = std::make_unique<File>(std::move(*file), path);
    return opened;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewRetryableFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below) {
  return std::make_shared<Files>(below);
}

}  // namespace tarn::local
