#include "server/engine/local/log_files.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>

namespace tarn::local {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr uint64_t kFillBytes = 1u << 20;
// When less than this is left ahead of the end, more is written.
constexpr uint64_t kFillAhead = 256u << 10;
// A log that grows by so much from sync to sync gains nothing: its journal commits are few.
constexpr uint64_t kFastGrowth = kFillAhead / 2;

const std::string& Filler() {
  static const std::string filler(kFillBytes, '\xff');
  return filler;
}

// Threads: RocksDB appends from one thread at a time and may sync from another meanwhile.
class FilledLog : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  // `written`: the length of the file that is recycled, all of it written blocks.
  FilledLog(std::unique_ptr<FSWritableFile> below, uint64_t written)
      : FSWritableFileOwnerWrapper(std::move(below)), filled_(written) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    std::lock_guard lock(mutex_);
    IOStatus status = target()->Append(data, options, debug);
    if (status.ok()) end_ += data.size();
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*verification*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return SyncAndFill(options, debug, target()->Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return SyncAndFill(options, debug, target()->Fsync(options, debug));
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    std::lock_guard lock(mutex_);
    end_ = filled_ = size;
    return target()->Truncate(size, options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    std::unique_lock lock(mutex_);
    if (filled_ > end_) {
      IOStatus cut = target()->Truncate(end_, options, debug);
      cut.PermitUncheckedError();  // filler does no harm
    }
    lock.unlock();
    return target()->Close(options, debug);
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(mutex_);
    return end_;
  }
  // Blocks that are only allocated are of no use here.
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  IOStatus SyncAndFill(const IOOptions& options, IODebugContext* debug, IOStatus synced) {
    if (!synced.ok() || !Fill(options, debug)) return synced;
    // Before any record goes there: so no crash leaves a hole between records.
    return target()->Sync(options, debug);
  }
  // True if there is filler to be synced.
  bool Fill(const IOOptions& options, IODebugContext* debug) {
    std::lock_guard lock(mutex_);
    uint64_t growth = end_ - synced_;
    synced_ = end_;
    bool wanted = end_ > 0 && filled_ < end_ + kFillAhead && growth < kFastGrowth;
    if (!wanted || !can_fill_) return false;
    uint64_t from = std::max(end_, filled_);
    IOStatus status = target()->PositionedAppend(Filler(), from, options, debug);
    can_fill_ = status.ok();  // a full disk, or no such call: do without
    if (can_fill_) filled_ = from + kFillBytes;
    return can_fill_;
  }

  std::mutex mutex_;
  uint64_t end_ = 0;     // of records
  uint64_t filled_ = 0;  // written blocks reach so far, if further than end_
  uint64_t synced_ = 0;  // end_ at the last sync
  bool can_fill_ = true;
};

class LogFiles : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "tarn.LogFiles"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    IOStatus status = target()->NewWritableFile(name, options, file, debug);
    if (status.ok() && IsLog(name)) Wrap(file, 0);
    return status;
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* debug) override {
    uint64_t written = 0;
    IOStatus sized = target()->GetFileSize(old, options.io_options, &written, debug);
    if (!sized.ok()) written = 0;
    IOStatus status = target()->ReuseWritableFile(name, old, options, file, debug);
    if (status.ok() && IsLog(name)) Wrap(file, written);
    return status;
  }

 private:
  static bool IsLog(std::string_view name) { return name.ends_with(".log"); }
  static void Wrap(std::unique_ptr<FSWritableFile>* file, uint64_t written) {
    *file = std::make_unique<FilledLog>(std::move(*file), written);
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewLogFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below) {
  return std::make_shared<LogFiles>(below);
}

}  // namespace tarn::local
