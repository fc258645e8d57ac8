#include "server/engine/local/log_files.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/engine/local/log_tail.h"
#include "server/engine/local/retryable_files.h"

namespace tarn::local {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr uint64_t kFillBytes = 1u << 20;
// When less than this is left ahead of the end, more is written.
constexpr uint64_t kFillAhead = 256u << 10;
// A log that grows by so much from sync to sync gains nothing: its journal commits are few.
constexpr uint64_t kFastGrowth = kFillAhead / 2;
// What a log keeps in memory before it is synced unasked. What comes while that fails is kept too:
// the store takes no changes then, so that this is little.
constexpr size_t kKeptMax = kUnsyncedMax / 2;
// What a compaction may always write.
constexpr uint64_t kSmallTable = 2u << 20;

const std::string& Filler() {
  static const std::string filler(kFillBytes, '\xff');
  return filler;
}

}  // namespace

// Threads: one appends at a time, and one other may sync meanwhile.
class FilledLog {
 public:
  explicit FilledLog(std::unique_ptr<FSWritableFile> below) : file_(std::move(below)) {}

  FSWritableFile* file() const { return file_.get(); }
  // False: the system did not take it, or more is kept than should be. A sync is due.
  bool Append(const Slice& data) {
    std::lock_guard lock(mutex_);
    unsynced_.append(data.data(), data.size());
    return HandOver().ok() && unsynced_.size() <= kKeptMax;
  }
  // A failed sync may have dropped any of what it was to write, so all of that is written again
  // before the next one.
  IOStatus Sync() {
    size_t bytes = 0;
    {
      std::lock_guard lock(mutex_);
      IOStatus handed = HandOver();
      if (!handed.ok()) return handed;
      bytes = handed_;
    }
    IOStatus status = file_->Sync(IOOptions(), nullptr);
    {
      std::lock_guard lock(mutex_);
      if (!status.ok()) {
        handed_ = 0;
        return status;
      }
      unsynced_.erase(0, bytes);
      synced_ += bytes;
      handed_ -= bytes;
    }
    // Before any record goes there: so no crash leaves a hole between records.
    if (Fill(bytes) && !file_->Sync(IOOptions(), nullptr).ok()) {
      std::lock_guard lock(mutex_);
      handed_ = 0;  // records that came meanwhile may be lost with the filler
    }
    return status;
  }
  IOStatus Truncate(uint64_t size) {
    std::lock_guard lock(mutex_);
    filled_ = synced_ = size;
    unsynced_.clear();
    handed_ = 0;
    return file_->Truncate(size, IOOptions(), nullptr);
  }
  IOStatus Close() {
    std::lock_guard lock(mutex_);
    IOStatus status = HandOver();
    if (filled_ > End()) {
      // Filler does no harm.
      file_->Truncate(End(), IOOptions(), nullptr).PermitUncheckedError();
    }
    IOStatus end = file_->Close(IOOptions(), nullptr);
    return status.ok() ? end : status;
  }
  uint64_t size() {
    std::lock_guard lock(mutex_);
    return End();
  }

  bool failing = false;  // both of LogFiles
  bool closed = false;

 private:
  uint64_t End() const { return synced_ + unsynced_.size(); }  // of records
  // What waits, to the file below.
  IOStatus HandOver() {
    if (handed_ == unsynced_.size()) return IOStatus::OK();
    Slice rest(unsynced_.data() + handed_, unsynced_.size() - handed_);
    IOStatus status = file_->PositionedAppend(rest, synced_ + handed_, IOOptions(), nullptr);
    if (status.ok()) handed_ = unsynced_.size();
    return status;
  }
  // True if there is filler to be synced. `growth`: what the last sync made durable.
  bool Fill(uint64_t growth) {
    std::lock_guard lock(mutex_);
    bool wanted = End() > 0 && filled_ < End() + kFillAhead && growth < kFastGrowth;
    if (!wanted || !can_fill_) return false;
    uint64_t from = std::max(End(), filled_);
    IOStatus status = file_->PositionedAppend(Filler(), from, IOOptions(), nullptr);
    can_fill_ = status.ok();  // a full disk, or no such call: do without
    if (can_fill_) filled_ = from + kFillBytes;
    return can_fill_;
  }

  const std::unique_ptr<FSWritableFile> file_;
  std::mutex mutex_;
  uint64_t filled_ = 0;  // written blocks reach so far, if further than the records
  // Records since the last sync that succeeded, where they begin, and how many bytes of them the
  // file below has.
  std::string unsynced_;
  uint64_t synced_ = 0;
  size_t handed_ = 0;
  bool can_fill_ = true;
};

namespace {

// What RocksDB holds of a log.
class LogHandle final : public rocksdb::FSWritableFileWrapper {
 public:
  LogHandle(LogFiles& logs, FilledLog& log)
      : FSWritableFileWrapper(log.file()), logs_(logs), log_(&log) {}
  ~LogHandle() override { Close(IOOptions(), nullptr).PermitUncheckedError(); }

  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    if (!log_->Append(data)) logs_.Sync(*log_);
    return IOStatus::OK();
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*verification*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    logs_.Sync(*log_);
    return IOStatus::OK();
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    return log_->Truncate(size);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    FilledLog* log = std::exchange(log_, nullptr);
    return log == nullptr ? IOStatus::OK() : logs_.Close(*log);
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    return log_ == nullptr ? 0 : log_->size();
  }
  // Blocks that are only allocated are of no use here.
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  LogFiles& logs_;
  FilledLog* log_;  // until it is closed
};

// A table holds what is in closed logs, of some column families and not of others. So it is not
// synced before they are.
class Table final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Table(std::unique_ptr<FSWritableFile> below, LogFiles& logs)
      : FSWritableFileOwnerWrapper(std::move(below)), logs_(logs) {}
  // RocksDB says so which tables it makes of memory, and which of other tables.
  void SetIOPriority(rocksdb::Env::IOPriority priority) override {
    compaction_ = priority == rocksdb::Env::IO_LOW;
    FSWritableFileOwnerWrapper::SetIOPriority(priority);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (TakesTooMuch(data)) return Scarce();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* debug) override {
    if (TakesTooMuch(data)) return Scarce();
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus settled = logs_.Settle();
    return settled.ok() ? target()->Sync(options, debug) : settled;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus settled = logs_.Settle();
    return settled.ok() ? target()->Fsync(options, debug) : settled;
  }

 private:
  static IOStatus Scarce() {
    IOStatus status = IOStatus::IOError(kDiskFull, "what is left is for the logs");
    status.SetRetryable(true);
    return status;
  }

  // A small one may be what frees the space.
  bool TakesTooMuch(const Slice& data) {
    written_ += data.size();
    return compaction_ && written_ > kSmallTable && logs_.scarce();
  }

  LogFiles& logs_;
  bool compaction_ = false;
  uint64_t written_ = 0;
};

}  // namespace

LogFiles::LogFiles(const std::shared_ptr<rocksdb::FileSystem>& below, std::function<bool()> scarce)
    : FileSystemWrapper(below), scarce_(std::move(scarce)) {}
LogFiles::~LogFiles() = default;

IOStatus LogFiles::failure() const {
  if (!failing()) return IOStatus::OK();
  std::lock_guard lock(mutex_);
  return failing() ? failure_ : IOStatus::OK();
}

IOStatus LogFiles::Settle() {
  return failing() ? SyncThrough(nullptr) : IOStatus::OK();
}

void LogFiles::Sync(const FilledLog& log) {
  SyncThrough(&log).PermitUncheckedError();
}

IOStatus LogFiles::SyncThrough(const FilledLog* last) {
  std::lock_guard lock(mutex_);
  IOStatus status;
  bool failing = false;
  for (auto at = logs_.begin(); at != logs_.end();) {
    FilledLog& log = **at;
    if (status.ok() && (log.failing || &log == last)) {
      status = log.Sync();
      log.failing = !status.ok();
    } else if (&log == last) {
      log.failing = true;  // not before those that failed
    }
    failing = failing || log.failing;
    bool done = log.closed && !log.failing;
    if (done) log.Close().PermitUncheckedError();
    at = done ? logs_.erase(at) : std::next(at);
  }
  if (!status.ok()) failure_ = status;
  failing_.store(failing, std::memory_order_release);
  return status;
}

IOStatus LogFiles::Close(FilledLog& log) {
  std::lock_guard lock(mutex_);
  log.closed = true;
  if (log.failing) return IOStatus::OK();
  IOStatus status = log.Close();
  logs_.remove_if([&](const auto& other) { return other.get() == &log; });
  return status;
}

void LogFiles::Add(std::unique_ptr<FSWritableFile>* file) {
  auto log = std::make_unique<FilledLog>(std::move(*file));
  *file = std::make_unique<LogHandle>(*this, *log);
  std::lock_guard lock(mutex_);
  logs_.push_back(std::move(log));
}

IOStatus LogFiles::NewWritableFile(const std::string& name, const FileOptions& options,
                                   std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) {
  bool table = name.ends_with(".sst");
  IOStatus status = table ? Settle() : IOStatus::OK();  // or it would be written in vain
  if (status.ok()) status = target()->NewWritableFile(name, options, file, debug);
  if (status.ok() && name.ends_with(".log")) Add(file);
  if (status.ok() && table) *file = std::make_unique<Table>(std::move(*file), *this);
  return status;
}

}  // namespace tarn::local
