#include "server/engine/local/local_engine.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <map>
#include <random>
#include <thread>

#include "common/log.h"
#include "server/engine/local/health.h"
#include "server/engine/local/local_file_system.h"

namespace tarn {
namespace local {
namespace {

uint64_t RandomNumber() {
  std::random_device source;
  return static_cast<uint64_t>(source()) << 32 | source();
}

class Records final : public vfs::RecordStore {
 public:
  explicit Records(Store& store) : store_(store) {}

  Result<std::optional<std::string>> Get(std::string_view key) override {
    return store_.Get(Table::kMeta, RecordKey(key));
  }
  Result<void> Put(std::string_view key, std::string_view value) override {
    Batch batch(store_);
    batch.Put(Table::kMeta, RecordKey(key), value);
    return store_.WriteAndSync(batch);
  }
  Result<void> Delete(std::string_view key) override {
    Batch batch(store_);
    batch.Delete(Table::kMeta, RecordKey(key));
    return store_.WriteAndSync(batch);
  }
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    std::string first = RecordKey(prefix);
    return store_.Scan(Table::kMeta, first, After(first),
                       [&](auto key, auto value) { return visit(key.substr(1), value); });
  }

 private:
  Store& store_;
};

class LocalEngine final : public vfs::Engine {
 public:
  // `options` name a disk. `lock`: held as long as this lives.
  LocalEngine(const LocalOptions& options, std::unique_ptr<DiskFile> lock)
      : options_(options),
        disk_(*options.disk),
        clock_(options.clock != nullptr ? *options.clock : SystemClock()),
        lock_(std::move(lock)) {}
  ~LocalEngine() override;
  Result<void> Open();

  vfs::RecordStore& records() override { return *records_; }
  Result<uint32_t> CreateFileSystem(const SecretBytes* key) override;
  Result<void> Unlock(uint32_t number, const SecretBytes& key) override;
  Result<void> Lock(uint32_t number, vfs::LockReason reason) override;
  bool encrypted(uint32_t number) override;
  bool locked(uint32_t number) override;
  Result<void> DeleteFileSystem(uint32_t number) override;
  Result<vfs::FileSystem*> GetFileSystem(uint32_t number) override;
  void MaintainOnce();
  Result<vfs::ScrubCounts> ScrubTables(
      const vfs::ScrubPace& pace, const std::function<void(std::string_view)>& report) override {
    return store_->Scrub(pace, report);
  }
  vfs::EngineCounters counters() const override {
    const Health& health = ProcessHealth();
    return {health.blocks_verified, health.damaged, health.read_errors, health.write_errors,
            health.sync_errors};
  }

 private:
  Result<void> CheckFormat();
  Result<void> WriteFormat(const std::string& path);
  Result<void> LoadFileSystems();
  std::unique_ptr<LocalFileSystem> Make(uint32_t number, const FileSystemRecord& record);
  std::vector<LocalFileSystem*> All();
  void Run();
  void RemoveStrays();
  void Wake();
  bool MaintainAll();
  Result<bool> ReclaimFileSystem();

  const LocalOptions options_;
  Disk& disk_;
  const Clock& clock_;
  const std::unique_ptr<DiskFile> lock_;
  bool after_crash_ = false;
  bool started_ = false;  // what it had left is settled
  uint64_t crashes_ = 0;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ChunkFiles> chunks_;
  std::unique_ptr<BlockSums> sums_;
  JournalUse journal_;
  std::unique_ptr<Records> records_;

  std::mutex mutex_;
  std::map<uint32_t, std::unique_ptr<LocalFileSystem>> file_systems_;  // guarded by mutex_
  // Deleted ones stay as objects, since requests may be in them.
  std::vector<std::unique_ptr<LocalFileSystem>> deleted_;  // guarded by mutex_
  std::deque<uint32_t> to_reclaim_;                        // guarded by mutex_

  std::atomic<bool> stop_{false};
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool woken_ = false;  // guarded by wake_mutex_
  std::thread thread_;
};

LocalEngine::~LocalEngine() {
  stop_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
  bool clean = store_ != nullptr;
  const std::atomic<bool> never{false};
  for (LocalFileSystem* fs : All()) {
    clean = fs->FlushAll().ok() && clean;
    clean = clean && fs->EndOverwrites().ok();
    // It may stay in the journal; the next start is quicker when it does not.
    if (clean) (void)fs->ApplyJournal(never);
  }
  if (clean && records_) {
    Batch batch(*store_);
    batch.Put(Table::kMeta, CleanKey(), "");
    (void)store_->WriteAndSync(batch);
  }
  file_systems_.clear();
  deleted_.clear();
  chunks_.reset();
  store_.reset();
}

Result<void> LocalEngine::WriteFormat(const std::string& path) {
  std::string temporary = path + ".new";
  std::string text = std::to_string(kFormatVersion) + "\n";
  iovec part{text.data(), text.size()};
  auto file = disk_.Open(temporary, Disk::Mode::kTruncate);
  if (!file || file->Write(0, {&part, 1}) != static_cast<ssize_t>(text.size()) ||
      file->Sync() != 0) {
    return SystemError("write", temporary);
  }
  if (disk_.Rename(temporary, path) != 0) return SystemError("name", path);
  return SyncDirectory(disk_, options_.data_dir);
}

// A version in a file of its own: it is read before anything of the database is.
Result<void> LocalEngine::CheckFormat() {
  std::string path = options_.data_dir + "/format";
  std::string text;
  if (ReadWholeFile(disk_, path, &text) != 0) {
    if (errno != ENOENT) return SystemError("read", path);
    if (disk_.Stat(options_.data_dir + "/meta", nullptr, nullptr) == 0) {
      // The file is written before the database is made.
      return Error(Code::kCorrupt,
                   path + " is missing beside a database; restore it from a backup");
    }
    return WriteFormat(path);
  }
  uint32_t version = 0;
  auto end = std::from_chars(text.data(), text.data() + text.size(), version);
  if (end.ec != std::errc() || version == 0) {
    return Error(Code::kCorrupt, path + " holds no version; restore it from a backup");
  }
  if (version > kFormatVersion) {
    return Error(Code::kNotSupported, "the data in " + options_.data_dir + " has format " +
                                          std::to_string(version) + ", this program knows up to " +
                                          std::to_string(kFormatVersion) +
                                          ": run the newer version that wrote it");
  }
  // All that older versions wrote is understood. What is written from now on they do not know.
  return version < kFormatVersion ? WriteFormat(path) : Ok();
}

Result<void> LocalEngine::Open() {
  TRY(CheckFormat());
  TRY(store_, Store::Open(options_));
  // Made by this process, or by one that was killed before it could sync their names. What is above
  // may not be ours to read.
  TRY(SyncDirectory(disk_, options_.data_dir));
  (void)disk_.SyncDirectory(DirectoryAbove(options_.data_dir));
  TRY(auto version, store_->Get(Table::kMeta, FormatKey()));
  TRY(auto clean, store_->Get(Table::kMeta, CleanKey()));
  after_crash_ = version && !clean;
  TRY(auto crashes, store_->Get(Table::kMeta, CrashesKey()));
  if (crashes) {
    TRY(crashes_, DecodeNumber(*crashes));
  }
  if (after_crash_) ++crashes_;
  Batch batch(*store_);
  batch.Put(Table::kMeta, CrashesKey(), EncodeNumber(crashes_));
  batch.Put(Table::kMeta, FormatKey(), EncodeNumber(kFormatVersion));
  batch.Delete(Table::kMeta, CleanKey());
  TRY(store_->WriteAndSync(batch));
  chunks_ = std::make_unique<ChunkFiles>(disk_, options_.data_dir + "/chunks", options_.files_open,
                                         after_crash_);
  sums_ = std::make_unique<BlockSums>(*store_, options_.sums_cached_bytes);
  TRY(LoadFileSystems());
  records_ = std::make_unique<Records>(*store_);
  if (options_.own_thread) thread_ = std::thread([this] { Run(); });
  return Ok();
}

std::unique_ptr<LocalFileSystem> LocalEngine::Make(uint32_t number,
                                                   const FileSystemRecord& record) {
  FileSystemContext context{*store_, *chunks_,           *sums_,  journal_, options_,
                            clock_,  [this] { Wake(); }, crashes_};
  return std::make_unique<LocalFileSystem>(context, number, record);
}

Result<void> LocalEngine::LoadFileSystems() {
  std::vector<std::pair<uint32_t, FileSystemRecord>> found;
  Result<void> status;
  TRY(store_->Scan(Table::kMeta, "F", "G", [&](std::string_view key, std::string_view value) {
    auto record = DecodeFileSystem(value);
    if (!record || key.size() != 5) status = Error(Code::kCorrupt, "a file system's record");
    if (record) found.emplace_back(NumberAt(std::string(4, '\0') + std::string(key), 1), *record);
    return status.ok();
  }));
  TRY(std::move(status));
  for (auto& [number, record] : found) {
    if (record.deleted) {
      to_reclaim_.push_back(number);
      continue;
    }
    auto fs = Make(number, record);
    auto loaded = fs->Load();
    if (!loaded) {
      return Error(loaded.code(),
                   "file system " + std::to_string(number) + ": " + loaded.error().message());
    }
    fs->KeepOrphans();
    file_systems_[number] = std::move(fs);
  }
  return Ok();
}

Result<uint32_t> LocalEngine::CreateFileSystem(const SecretBytes* key) {
  if (key != nullptr) return Error(Code::kNotSupported, "this engine does not encrypt yet");
  std::lock_guard lock(mutex_);
  TRY(auto next, store_->Get(Table::kMeta, NextFileSystemKey()));
  uint64_t number = 1;
  if (next) {
    TRY(number, DecodeNumber(*next));
  }
  if (number > UINT32_MAX) return Error(Code::kLimitExceeded, "no file system number is left");
  FileSystemRecord record{false, {RandomNumber(), RandomNumber()}};
  Batch batch(*store_);
  batch.Put(Table::kMeta, NextFileSystemKey(), EncodeNumber(number + 1));
  auto id = static_cast<uint32_t>(number);
  LocalFileSystem::Format(batch, id, record, clock_, RandomNumber());
  TRY(store_->WriteAndSync(batch));
  auto fs = Make(id, record);
  TRY(fs->Load());
  file_systems_[id] = std::move(fs);
  return id;
}

Result<void> LocalEngine::DeleteFileSystem(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto found = file_systems_.find(number);
  if (found == file_systems_.end()) return Error(Code::kNotFound);
  FileSystemRecord record;
  record.deleted = true;
  Batch batch(*store_);
  batch.Put(Table::kMeta, FileSystemKey(number), Encode(record));
  TRY(store_->WriteAndSync(batch));
  found->second->MarkDeleted();
  deleted_.push_back(std::move(found->second));
  file_systems_.erase(found);
  to_reclaim_.push_back(number);
  Wake();
  return Ok();
}

Result<vfs::FileSystem*> LocalEngine::GetFileSystem(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto found = file_systems_.find(number);
  if (found == file_systems_.end()) return Error(Code::kNotFound);
  return static_cast<vfs::FileSystem*>(found->second.get());
}

Result<void> LocalEngine::Unlock(uint32_t number, const SecretBytes&) {
  TRY(GetFileSystem(number));
  return Error(Code::kInvalid, "file system " + std::to_string(number) + " is not encrypted");
}

Result<void> LocalEngine::Lock(uint32_t number, vfs::LockReason) {
  TRY(GetFileSystem(number));
  return Error(Code::kInvalid, "file system " + std::to_string(number) + " is not encrypted");
}

bool LocalEngine::encrypted(uint32_t /*number*/) {
  return false;
}
bool LocalEngine::locked(uint32_t /*number*/) {
  return false;
}

std::vector<LocalFileSystem*> LocalEngine::All() {
  std::lock_guard lock(mutex_);
  std::vector<LocalFileSystem*> all;
  for (auto& [number, fs] : file_systems_) all.push_back(fs.get());
  return all;
}

void LocalEngine::Wake() {
  std::lock_guard lock(wake_mutex_);
  woken_ = true;
  wake_.notify_all();
}

void LocalEngine::RemoveStrays() {
  if (!started_) {
    for (LocalFileSystem* fs : All()) fs->SettleOverwrites(stop_);
  }
  started_ = true;
  if (!after_crash_) return;
  after_crash_ = false;
  for (LocalFileSystem* fs : All()) {
    auto removed = fs->RemoveStrayChunks(stop_);
    if (!removed) spdlog::warn("stray chunk files: {}", removed.error().ToString());
  }
}

void LocalEngine::MaintainOnce() {
  RemoveStrays();
  (void)MaintainAll();
}

void LocalEngine::Run() {
  RemoveStrays();
  while (!stop_) {
    bool more = MaintainAll();
    std::unique_lock lock(wake_mutex_);
    if (!more) {
      wake_.wait_for(lock, options_.maintenance_interval, [this] { return woken_ || stop_; });
    }
    woken_ = false;
  }
}

bool LocalEngine::MaintainAll() {
  store_->CheckDisk();
  if (store_->failed()) store_->Recover();
  if (store_->NeedsSpace()) store_->ReclaimSpace(stop_);
  bool more = false;
  for (LocalFileSystem* fs : All()) {
    if (stop_) return false;
    more = fs->Maintain(stop_) || more;
  }
  auto reclaimed = ReclaimFileSystem();
  if (!reclaimed) spdlog::warn("deleting a file system waits: {}", reclaimed.error().ToString());
  return more || (reclaimed && *reclaimed);
}

// One deleted file system; true: there was one.
Result<bool> LocalEngine::ReclaimFileSystem() {
  uint32_t number;
  {
    std::lock_guard lock(mutex_);
    if (to_reclaim_.empty()) return false;
    number = to_reclaim_.front();
  }
  bool stopped = false;
  TRY(chunks_->Scan(number, [&](const ChunkId& id) {
    (void)chunks_->Remove(id);
    stopped = stop_;
    return !stopped;
  }));
  if (stopped) return false;
  TRY(chunks_->RemoveFileSystem(number));
  Batch batch(*store_);
  std::string first = FileSystemPrefix(number);
  for (Table table : {Table::kInodes, Table::kNames, Table::kInline, Table::kChunks, Table::kXattrs,
                      Table::kShares, Table::kSums, Table::kJournal}) {
    batch.DeleteRange(table, first, After(first));
  }
  for (char letter : {'I', 'R', 'U', 'O', 'T', 'X', 'S', 'P', 'W', 'F'}) {
    std::string prefix = MetaPrefix(letter, number);
    batch.DeleteRange(Table::kMeta, prefix, After(prefix));
  }
  TRY(store_->Write(batch));
  std::lock_guard lock(mutex_);
  to_reclaim_.pop_front();
  return true;
}

Result<std::unique_ptr<DiskFile>> LockDirectory(Disk& disk, const std::string& directory) {
  std::string path = directory + "/lock";
  auto file = disk.Open(path, Disk::Mode::kCreate);
  if (!file) return SystemError("open", path);
  if (file->Lock() == 0) {
    std::string text = std::to_string(::getpid()) + "\n";
    iovec part{text.data(), text.size()};
    if (file->Truncate(0) == 0) (void)file->Write(0, {&part, 1});
    return file;
  }
  char owner[32] = {};
  ssize_t bytes = file->Read(0, std::as_writable_bytes(std::span(owner)));
  std::string pid(owner, bytes > 0 ? static_cast<size_t>(bytes) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return Error(Code::kInUse, "the data directory " + directory + " is in use by process " + pid +
                                 ": stop it, or give this one another --data-dir");
}

}  // namespace
}  // namespace local

Result<std::unique_ptr<vfs::Engine>> OpenLocalEngine(const LocalOptions& options) {
  if (options.data_dir.empty()) {
    return Error(Code::kInvalid, "data_dir is empty: name the directory that holds the data");
  }
  LocalOptions full = options;
  if (full.disk == nullptr) full.disk = &local::SystemDisk();
  TRY(local::MakeDirectories(*full.disk, full.data_dir));
  TRY(auto lock, local::LockDirectory(*full.disk, full.data_dir));
  auto engine = std::make_unique<local::LocalEngine>(full, std::move(lock));
  TRY(engine->Open());
  return std::unique_ptr<vfs::Engine>(std::move(engine));
}

void MaintainLocalEngine(vfs::Engine& engine) {
  static_cast<local::LocalEngine&>(engine).MaintainOnce();
}

}  // namespace tarn
