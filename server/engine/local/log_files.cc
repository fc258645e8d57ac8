#include "server/engine/local/log_files.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>

#include "server/engine/local/log_tail.h"

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

// Threads: RocksDB appends from one thread at a time and may sync from one other meanwhile.
class FilledLog : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  // `written`: the length of the file that is recycled, all of it written blocks.
  FilledLog(std::unique_ptr<FSWritableFile> below, uint64_t written)
      : FSWritableFileOwnerWrapper(std::move(below)), filled_(written) {}

  // RocksDB never writes to a log again whose Append has failed, and ends the process when it has
  // nothing else to write (7.8). So what cannot be written waits, and Sync tells.
  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    std::lock_guard lock(mutex_);
    if (unsynced_.size() + data.size() > kUnsyncedMax) return Unkept(data, options, debug);
    unsynced_.append(data.data(), data.size());
    HandOver(options, debug).PermitUncheckedError();
    return IOStatus::OK();
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*verification*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return SyncAndFill(options, debug, &FSWritableFile::Sync);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return SyncAndFill(options, debug, &FSWritableFile::Fsync);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    std::lock_guard lock(mutex_);
    filled_ = synced_ = size;
    unsynced_.clear();
    handed_ = 0;
    return target()->Truncate(size, options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    std::unique_lock lock(mutex_);
    IOStatus status = HandOver(options, debug);
    if (filled_ > End()) {
      IOStatus cut = target()->Truncate(End(), options, debug);
      cut.PermitUncheckedError();  // filler does no harm
    }
    lock.unlock();
    IOStatus closed = target()->Close(options, debug);
    return status.ok() ? closed : status;
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(mutex_);
    return End();
  }
  // Blocks that are only allocated are of no use here.
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  using SyncCall = IOStatus (FSWritableFile::*)(const IOOptions&, IODebugContext*);

  uint64_t End() const { return synced_ + unsynced_.size(); }  // of records
  // What waits, to the file below.
  IOStatus HandOver(const IOOptions& options, IODebugContext* debug) {
    if (handed_ == unsynced_.size()) return IOStatus::OK();
    Slice rest(unsynced_.data() + handed_, unsynced_.size() - handed_);
    IOStatus status = target()->PositionedAppend(rest, synced_ + handed_, options, debug);
    if (status.ok()) handed_ = unsynced_.size();
    return status;
  }
  // More than is kept: a failure is one of this file, for good.
  IOStatus Unkept(const Slice& data, const IOOptions& options, IODebugContext* debug) {
    IOStatus status = HandOver(options, debug);
    if (status.ok()) status = target()->PositionedAppend(data, End(), options, debug);
    if (!status.ok()) return status;
    synced_ = End() + data.size();
    unsynced_.clear();
    handed_ = 0;
    unkept_ = true;
    return status;
  }
  // A failed sync may have dropped any of what it was to write, so all of that is written again
  // before the next one.
  IOStatus SyncAndFill(const IOOptions& options, IODebugContext* debug, SyncCall sync) {
    size_t bytes = 0;
    uint64_t from = 0;
    {
      std::lock_guard lock(mutex_);
      if (lost_) return IOStatus::IOError("an earlier sync of this log failed");
      IOStatus handed = HandOver(options, debug);
      if (!handed.ok()) return handed;
      bytes = handed_;
      from = synced_;
    }
    IOStatus status = (target()->*sync)(options, debug);
    {
      std::lock_guard lock(mutex_);
      lost_ = !status.ok() && unkept_;
      if (!status.ok()) {
        handed_ = 0;
        return status;
      }
      if (synced_ == from) {  // else more than is kept came meanwhile
        unkept_ = false;
        unsynced_.erase(0, bytes);
        synced_ += bytes;
        handed_ -= bytes;
      }
    }
    // Before any record goes there: so no crash leaves a hole between records.
    return Fill(options, debug, bytes) ? (target()->*sync)(options, debug) : status;
  }
  // True if there is filler to be synced. `growth`: what the last sync made durable.
  bool Fill(const IOOptions& options, IODebugContext* debug, uint64_t growth) {
    std::lock_guard lock(mutex_);
    bool wanted = End() > 0 && filled_ < End() + kFillAhead && growth < kFastGrowth;
    if (!wanted || !can_fill_) return false;
    uint64_t from = std::max(End(), filled_);
    IOStatus status = target()->PositionedAppend(Filler(), from, options, debug);
    can_fill_ = status.ok();  // a full disk, or no such call: do without
    if (can_fill_) filled_ = from + kFillBytes;
    return can_fill_;
  }

  std::mutex mutex_;
  uint64_t filled_ = 0;  // written blocks reach so far, if further than the records
  // Records since the last sync that succeeded, where they begin, and how many bytes of them the
  // file below has.
  std::string unsynced_;
  uint64_t synced_ = 0;
  size_t handed_ = 0;
  bool unkept_ = false;  // since that sync more came than is kept
  bool lost_ = false;    // and then a sync failed
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
