#include "server/engine/local/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <limits>
#include <thread>

#include "common/log.h"
#include "server/engine/local/chunk_files.h"
#include "server/engine/local/health.h"
#include "server/engine/local/log_order.h"
#include "server/engine/local/log_tail.h"
#include "server/engine/local/manifest_files.h"
#include "server/engine/local/retryable_files.h"

namespace tarn::local {
namespace {

constexpr int kTablesOpenMax = 2000;                      // of the process's limit of open files
constexpr std::chrono::milliseconds kRetryInterval{500};  // of RocksDB, after an error
constexpr std::chrono::seconds kRecoveryWait{2};          // for it to be done
constexpr std::chrono::milliseconds kRecoveryPoll{20};
constexpr uint64_t kReserveForLogs = 8;  // this part of the reserve, see LogFiles
// After a crash the logs are read before anything is served, at about 75 MB a second of processor.
constexpr uint64_t kLogBytesMax = 96u << 20;
constexpr const char* kTableNames[kTables] = {"default", "inodes", "names", "inline", "chunks",
                                              "xattrs",  "shares", "sums",  "journal"};

// Sums of usage. A broken operand ends in an error of the read, and fsck tells it.
class UsageMerge : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& operand,
             std::string* sum, rocksdb::Logger*) const override {
    auto add = DecodeUsage(operand.ToStringView());
    if (!add) return false;
    UsageDelta total = *add;
    if (existing != nullptr) {
      auto before = DecodeUsage(existing->ToStringView());
      if (!before) return false;
      total.bytes += before->bytes;
      total.files += before->files;
    }
    *sum = Encode(total);
    return true;
  }
  const char* Name() const override { return "tarn.usage"; }
};

// Warnings go to our log. RocksDB's own log file would end the process when its disk is full.
class Log : public rocksdb::Logger {
 public:
  Log() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof(line), format, arguments);
    std::string_view text(line);
    while (text.ends_with('\n')) text.remove_suffix(1);
    bool error = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
    spdlog::log(error ? spdlog::level::warn : spdlog::level::debug, "rocksdb: {}", text);
  }
};

// Logs stay until every table that they speak of was written; a small disk has less room for that.
uint64_t LogBytesMax(const LocalOptions& local) {
  Disk::Space space;
  if (local.disk->GetSpace(local.data_dir, &space) != 0) return kLogBytesMax;
  return std::min(kLogBytesMax, space.total / 16);
}

rocksdb::DBOptions DatabaseOptions(const LocalOptions& local, rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = kTablesOpenMax;
  options.max_background_jobs = 2;
  options.max_total_wal_size = LogBytesMax(local);
  // What a crash leaves at a log's end is cut off before (CutLogTails); anything else wrong in it
  // is an error, never a silent loss.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // The log is written when it is synced: one system call for all changes that wait.
  options.manual_wal_flush = true;
  options.info_log = std::make_shared<Log>();
  // RocksDB must try again by itself: between an error and a Resume from outside, 7.8 forgets
  // flushes that were scheduled, and Resume would wait for them for ever.
  options.max_bgerror_resume_count = std::numeric_limits<int>::max();
  options.bgerror_resume_retry_interval =
      std::chrono::duration_cast<std::chrono::microseconds>(kRetryInterval).count();
  options.bytes_per_sync = 1u << 20;
  return options;
}

rocksdb::ColumnFamilyOptions TableOptions(const LocalOptions& local, Table table,
                                          const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  blocks.cache_index_and_filter_blocks = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  blocks.block_size = table == Table::kInline ? 16u << 10 : 4u << 10;
  blocks.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  options.compression = rocksdb::kNoCompression;
  options.max_write_buffer_number = 4;
  options.level_compaction_dynamic_level_bytes = true;
  // Small steps, so that a compaction on a nearly full disk fits into what is kept free.
  options.target_file_size_base = 16u << 20;
  options.max_compaction_bytes = 64u << 20;
  options.write_buffer_size = table == Table::kMeta
                                  ? std::min<size_t>(local.write_buffer_bytes, 16u << 20)
                                  : local.write_buffer_bytes;
  if (table == Table::kMeta) options.merge_operator = std::make_shared<UsageMerge>();
  return options;
}

// What a sealed value belongs to, so that none can be put at another's place.
std::string PlaceOf(Table table, std::string_view key) {
  std::string place(1, static_cast<char>(table));
  place += key;
  return place;
}

}  // namespace

void Batch::Put(Table table, const std::string& key, std::string_view value) {
  std::string sealed;
  if (!store_.keys().empty()) {
    auto done = store_.Seal(table, key, value, sealed);
    if (!done) {
      sealed_ = std::move(done);
      return;
    }
  }
  batch_.Put(store_.handle(table), key, rocksdb::Slice(value.data(), value.size()));
}
void Batch::Delete(Table table, const std::string& key) {
  batch_.Delete(store_.handle(table), key);
}
void Batch::DeleteRange(Table table, const std::string& first, const std::string& after) {
  batch_.DeleteRange(store_.handle(table), first, after);
}
void Batch::AddUsage(const std::string& key, const UsageDelta& delta) {
  if (delta.bytes == 0 && delta.files == 0) return;
  batch_.Merge(store_.handle(Table::kMeta), key, Encode(delta));
}

Store::Store(const LocalOptions& options)
    : options_(options),
      disk_(*options.disk),
      ballast_(options.data_dir + "/ballast"),
      logs_(std::make_shared<LogFiles>(
          NewManifestFiles(NewRetryableFiles(disk_.DatabaseEnv()->GetFileSystem())),
          [this] {
            Disk::Space space;
            return disk_.GetSpace(options_.data_dir, &space) == 0 &&
                   space.free < Reserve(space) / kReserveForLogs;
          })),
      env_(rocksdb::NewCompositeEnv(logs_)),
      log_order_(std::make_unique<LogOrder>()) {}

Result<std::unique_ptr<Store>> Store::Open(const LocalOptions& given) {
  LocalOptions options = given;
  if (options.disk == nullptr) options.disk = &SystemDisk();
  std::unique_ptr<Store> store(new Store(options));
  auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> tables;
  for (size_t i = 0; i < kTables; ++i) {
    tables.emplace_back(kTableNames[i], TableOptions(options, static_cast<Table>(i), cache));
  }
  TRY(MakeDirectories(*options.disk, options.data_dir + "/meta"));
  TRY(CutLogTails(*options.disk, options.data_dir + "/meta"));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  auto database = DatabaseOptions(options, store->env_.get());
  database.wal_filter = store->log_order_.get();
  auto status = rocksdb::DB::Open(database, options.data_dir + "/meta", tables, &handles, &db);
  if (!status.ok()) {
    Error error = store->Translate(status);
    return Error(error.code(),
                 "the database in " + options.data_dir + " does not open: " + error.message());
  }
  store->db_.reset(db);
  std::copy(handles.begin(), handles.end(), store->handles_.begin());
  (void)store->disk_.Stat(store->ballast_, nullptr, &store->ballast_bytes_);
  store->CheckDisk();
  return store;
}

Store::~Store() {
  if (!db_) return;
  if (!failed_) (void)db_->FlushWAL(true);
  for (auto* handle : handles_) {
    if (handle != nullptr) (void)db_->DestroyColumnFamilyHandle(handle);
  }
  (void)db_->Close();
}

Error Store::Translate(const rocksdb::Status& status) const {
  if (status.IsCorruption()) {
    spdlog::error("database: {}", status.ToString());
    ProcessHealth().damaged.fetch_add(1, std::memory_order_relaxed);
    return Error(Code::kCorrupt, status.ToString());
  }
  if (status.IsNoSpace() || status.ToString().find(kDiskFull) != std::string::npos) {
    return Error(Code::kNoSpace, "the disk of the data directory is full");
  }
  if (status.IsBusy() || status.IsIncomplete()) return Error(Code::kUnavailable, status.ToString());
  spdlog::error("database: {}", status.ToString());
  return Error(Code::kIo, status.ToString());
}

// Of a write: no more of them until Recover.
Error Store::Failed(const rocksdb::Status& status) {
  Error error = Translate(status);
  failed_full_ = error.code() == Code::kNoSpace;
  failed_ = true;
  return error;
}

Result<std::optional<std::string>> Store::Get(Table table, const std::string& key,
                                              const rocksdb::Snapshot* snapshot) const {
  rocksdb::ReadOptions read;
  read.snapshot = snapshot;
  std::string value;
  auto status = db_->Get(read, handle(table), key, &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return Translate(status);
  if (!keys_.empty()) {
    TRY(KeysPtr keys, KeysOf(table, key));
    if (keys) {
      TRY(value, keys->rows->Open(value, PlaceOf(table, key)));
    }
  }
  return std::optional<std::string>(std::move(value));
}

Result<void> Store::Seal(Table table, std::string_view key, std::string_view& value,
                         std::string& sealed) const {
  TRY(KeysPtr keys, KeysOf(table, key));
  if (!keys) return Ok();
  TRY(sealed, keys->rows->Seal(value, PlaceOf(table, key)));
  value = sealed;
  return Ok();
}

Result<KeysPtr> Store::KeysOf(Table table, std::string_view key) const {
  auto fs = SealedFor(table, key);
  return fs ? keys_.Of(*fs) : KeysPtr();
}

Result<void> Store::Scan(Table table, const std::string& first, const std::string& after,
                         const Visitor& visit, const rocksdb::Snapshot* snapshot) const {
  rocksdb::ReadOptions read;
  read.snapshot = snapshot;
  rocksdb::Slice bound(after);
  if (!after.empty()) read.iterate_upper_bound = &bound;
  std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read, handle(table)));
  KeysPtr keys;
  std::optional<uint32_t> keys_of;
  for (at->Seek(first); at->Valid(); at->Next()) {
    std::string_view key = at->key().ToStringView();
    std::string_view value = at->value().ToStringView();
    std::string opened;
    if (auto fs = keys_.empty() ? std::nullopt : SealedFor(table, key)) {
      if (keys_of != fs) {
        TRY(keys, keys_.Of(*fs));
        keys_of = fs;
      }
      if (keys) {
        auto done = keys->rows->Open(value, PlaceOf(table, key));
        if (done) opened = std::move(*done);
        value = opened;
      }
    }
    if (!visit(key, value)) return Ok();
  }
  if (!at->status().ok()) return Translate(at->status());
  return Ok();
}

Result<void> Store::Ready() {
  if (failed()) Recover();
  if (!failed()) return Ok();
  constexpr const char* kWhat = "the database could not be written, and still cannot";
  return Translate(rocksdb::Status::IOError(failed_full_ ? kDiskFull : kWhat));
}

Result<Store::Ticket> Store::Write(Batch& batch) {
  TRY(batch.sealed_);
  TRY(Ready());
  grown_ += batch.bytes();
  auto status = db_->Write(rocksdb::WriteOptions(), &batch.batch_);
  if (!status.ok()) {
    Error error = Failed(status);
    // Removing must work on a full disk: give the ballast up and try once more.
    Recover();
    if (error.code() != Code::kNoSpace || failed_) return error;
    status = db_->Write(rocksdb::WriteOptions(), &batch.batch_);
    if (!status.ok()) return Failed(status);
  }
  return ++written_;
}

Result<Store::Ticket> Store::SyncAll() {
  constexpr int kAttempts = 3;
  Ticket target = written_.load();
  Result<void> synced = Ok();
  for (int i = 0; i < kAttempts; ++i) {
    if (auto ready = Ready(); !ready) return synced ? ready.error() : synced.error();
    auto status = db_->FlushWAL(true);
    if (status.ok()) status = logs_->failure();
    ++syncs_;
    if (status.ok()) return target;
    synced = Failed(status);
  }
  return synced.error();
}

// To the kernel: there after a kill, though not after a power loss.
Result<void> Store::Flush() {
  TRY(Ready());
  auto status = db_->FlushWAL(false);
  if (status.ok()) status = logs_->failure();
  if (!status.ok()) return Failed(status);
  return Ok();
}

Result<void> Store::WriteAndSync(Batch& batch) {
  TRY(Ticket ticket, Write(batch));
  return Sync(ticket);
}

// The logs are simply written again. RocksDB recovers from other errors in a thread of its own,
// trying every kRetryInterval, and Resume is Busy meanwhile. A write waits for that once, and not
// again soon when it was in vain.
void Store::Recover() {
  std::lock_guard lock(recover_mutex_);
  if (!failed()) return;
  rocksdb::Status status = logs_->failure();
  if (!status.ok()) (void)Failed(status);
  if (failed_full_) DropBallast();
  auto now = std::chrono::steady_clock::now();
  auto until = now + (now < wait_again_ ? std::chrono::seconds(0) : kRecoveryWait);
  for (;;) {
    status = logs_->Settle();
    if (status.ok()) status = db_->Resume();
    // What has the space now may be a table that comes to nothing.
    bool passes = status.IsBusy() || (failed_full_ && !status.ok());
    if (!passes || std::chrono::steady_clock::now() >= until) break;
    std::this_thread::sleep_for(kRecoveryPoll);
  }
  if (status.ok()) {
    failed_ = false;
    return;
  }
  if (now < until) {
    wait_again_ = std::chrono::steady_clock::now() + kRecoveryWait;
    spdlog::error("database: still not writable: {}", status.ToString());
  }
}

bool Store::DiskIsFull(uint64_t growth) {
  if ((grown_ += growth) > grown_max_) CheckDisk();
  return disk_full_;
}

void Store::DropBallast() {
  if (ballast_bytes_ == 0) return;
  spdlog::warn("the disk of {} is full: its ballast file is given up", options_.data_dir);
  (void)disk_.Remove(ballast_);
  ballast_bytes_ = 0;
  disk_full_ = true;
}

// A small disk keeps a small part.
uint64_t Store::Reserve(const Disk::Space& space) const {
  return std::min(options_.reserve_bytes, space.total / 8);
}

bool Store::HasRoom(uint64_t bytes) const {
  Disk::Space space;
  if (disk_.GetSpace(options_.data_dir, &space) != 0) return true;  // a write will tell
  uint64_t kept = Reserve(space);
  return space.free > kept && space.free - kept >= bytes;
}

void Store::CheckDisk() {
  std::lock_guard lock(recover_mutex_);
  Disk::Space space;
  if (disk_.GetSpace(options_.data_dir, &space) != 0) return;
  uint64_t free = space.free;
  uint64_t reserve = Reserve(space);
  uint64_t ballast = reserve / 2;
  // Enough stays free beside it that the disk does not count as full.
  if (ballast_bytes_ == 0 && ballast > 0 && free > reserve + ballast) {
    auto file = disk_.Open(ballast_, Disk::Mode::kCreate);
    if (file && file->Allocate(0, ballast) == 0) ballast_bytes_ = ballast;
    free -= std::min(free, ballast_bytes_);
  }
  disk_full_ = free + ballast_bytes_ < reserve;
  ballast_missing_ = ballast > 0 && ballast_bytes_ == 0;
  grown_max_ = reserve / 8;
  grown_ = 0;
}

void Store::ReclaimSpace(std::atomic<bool>& stop) {
  if (reclaimed_at_ == written_ || failed()) return;
  Ticket now = written_;
  std::vector<rocksdb::ColumnFamilyHandle*> all(handles_.begin(), handles_.end());
  if (!db_->Flush(rocksdb::FlushOptions(), all).ok()) return;
  rocksdb::CompactRangeOptions compact;
  compact.canceled = &stop;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  bool done = true;
  for (auto* handle : handles_) {
    done = db_->CompactRange(compact, handle, nullptr, nullptr).ok() && done;
  }
  if (done) reclaimed_at_ = now;
}

Result<vfs::ScrubCounts> Store::Scrub(const vfs::ScrubPace& pace,
                                      const std::function<void(std::string_view)>& report) const {
  vfs::ScrubCounts counts;
  std::vector<rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  rocksdb::Options options;
  options.env = db_->GetEnv();
  options.info_log = std::make_shared<Log>();
  for (const auto& file : files) {
    std::string path = file.directory + "/" + file.relative_filename;
    rocksdb::SstFileReader reader(options);
    auto status = reader.Open(path);
    if (status.ok()) status = reader.VerifyChecksum(rocksdb::ReadOptions());
    // A compaction may have replaced it meanwhile.
    bool gone = !status.ok() && !options.env->FileExists(path).ok();
    if (!status.ok() && !gone) {
      std::string line =
          "table " + file.column_family_name + ": " + path + ": " + status.ToString();
      spdlog::error("database: {}", line);
      if (status.IsCorruption()) ProcessHealth().damaged.fetch_add(1, std::memory_order_relaxed);
      report(line);
      ++counts.problems;
    }
    ++counts.files;
    counts.bytes += file.size;
    if (!pace(file.size)) return Error(Code::kAborted, "the scrub was stopped");
  }
  return counts;
}

std::shared_ptr<const rocksdb::Snapshot> Store::TakeSnapshot() const {
  return {db_->GetSnapshot(), [this](const rocksdb::Snapshot* s) { db_->ReleaseSnapshot(s); }};
}

}  // namespace tarn::local
