#include "server/engine/local/local_engine.h"

#include <condition_variable>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "common/log.h"
#include "server/engine/local/data_directory.h"
#include "server/engine/local/health.h"
#include "server/engine/local/local_file_system.h"
#include "server/engine/local/lockable_file_system.h"
#include "server/engine/local/records.h"

namespace tarn {
namespace local {
namespace {

uint64_t RandomNumber() {
  std::random_device source;
  return static_cast<uint64_t>(source()) << 32 | source();
}

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
  void Hurry() override {
    ending_ = true;
    for (LockableFileSystem* fs : AllLockable()) fs->Hurry();
  }
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
  Result<void> LoadFileSystems();
  Result<void> LoadFileSystem(uint32_t number, const FileSystemRecord& record);
  std::unique_ptr<LocalFileSystem> Make(uint32_t number, const FileSystemRecord& record,
                                        const std::atomic<bool>& hurry);
  std::unique_ptr<LockableFileSystem> MakeLockable(uint32_t number, const FileSystemRecord& record,
                                                   LockableFileSystem::Origin origin);
  Result<void> CountCrash();
  bool End(bool clean);
  void NoteUnsettled(Batch& batch);
  std::vector<LocalFileSystem*> All();
  std::vector<LockableFileSystem*> AllLockable();
  // kNotFound; kInvalid: it is not encrypted.
  Result<LockableFileSystem*> FindLockable(uint32_t number);
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
  // Plain file systems of which a crash may have left chunk files that no row speaks of. Of the
  // thread that opens, then of the one that maintains.
  std::set<uint32_t> strays_;
  std::atomic<uint64_t> crashes_{0};
  std::unique_ptr<Store> store_;
  std::unique_ptr<ChunkFiles> chunks_;
  std::unique_ptr<BlockSums> sums_;
  JournalUse journal_;
  std::unique_ptr<Records> records_;

  std::mutex mutex_;
  std::map<uint32_t, std::unique_ptr<LocalFileSystem>> file_systems_;  // guarded by mutex_
  std::map<uint32_t, std::unique_ptr<LockableFileSystem>> lockable_;   // guarded by mutex_
  // Deleted ones stay as objects, since requests may be in them.
  std::vector<std::unique_ptr<LocalFileSystem>> deleted_;              // guarded by mutex_
  std::vector<std::unique_ptr<LockableFileSystem>> deleted_lockable_;  // guarded by mutex_
  std::deque<uint32_t> to_reclaim_;                                    // guarded by mutex_

  std::atomic<bool> ending_{false};  // what runs long gives up; for good
  std::atomic<bool> stop_{false};
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool woken_ = false;  // guarded by wake_mutex_
  std::thread thread_;
};

LocalEngine::~LocalEngine() {
  stop_ = true;
  Wake();
  Hurry();
  if (thread_.joinable()) thread_.join();
  if (End(store_ != nullptr) && records_) {
    Batch batch(*store_);
    batch.Put(Table::kMeta, CleanKey(), "");
    NoteUnsettled(batch);
    (void)store_->WriteAndSync(batch);
  }
  file_systems_.clear();
  deleted_.clear();
  lockable_.clear();
  deleted_lockable_.clear();
  chunks_.reset();
  store_.reset();
}

// True: nothing is left for the next start to settle.
bool LocalEngine::End(bool clean) {
  const std::atomic<bool> never{false};
  for (LocalFileSystem* fs : All()) {
    clean = fs->FlushAll().ok() && clean;
    clean = clean && fs->EndOverwrites().ok();
    // It may stay in the journal; the next start is quicker when it does not.
    if (clean) (void)fs->ApplyJournal(never);
  }
  for (LockableFileSystem* fs : AllLockable()) {
    clean = fs->Lock(vfs::LockReason::kKeyNotThere).ok() && clean;
  }
  return clean;
}

// One that was locked all the time has not seen to what a crash left it, and one whose look for
// stray chunk files was cut off not to all of it. That is for the run that can, and no reason to
// take the others for crashed.
void LocalEngine::NoteUnsettled(Batch& batch) {
  auto note = [&](uint32_t number, bool settled) {
    if (settled) {
      batch.Delete(Table::kMeta, UnsettledKey(number));
    } else {
      batch.Put(Table::kMeta, UnsettledKey(number), "");
    }
  };
  std::lock_guard lock(mutex_);
  for (auto& [number, fs] : file_systems_) note(number, !strays_.contains(number));
  for (auto& [number, fs] : lockable_) note(number, fs->settled());
}

Result<void> LocalEngine::Open() {
  TRY(CheckFormat(disk_, options_.data_dir));
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
                                         after_crash_, store_->keys());
  sums_ = std::make_unique<BlockSums>(*store_, options_.sums_cached_bytes);
  TRY(LoadFileSystems());
  records_ = std::make_unique<Records>(*store_);
  if (options_.own_thread) thread_ = std::thread([this] { Run(); });
  return Ok();
}

std::unique_ptr<LocalFileSystem> LocalEngine::Make(uint32_t number, const FileSystemRecord& record,
                                                   const std::atomic<bool>& hurry) {
  FileSystemContext context{*store_, *chunks_,           *sums_,   journal_, options_,
                            clock_,  [this] { Wake(); }, crashes_, hurry};
  return std::make_unique<LocalFileSystem>(context, number, record);
}

// What is made from now on gives change attributes above all that were given before.
Result<void> LocalEngine::CountCrash() {
  uint64_t next = ++crashes_;
  Batch batch(*store_);
  batch.Put(Table::kMeta, CrashesKey(), EncodeNumber(next));
  return store_->WriteAndSync(batch);
}

std::unique_ptr<LockableFileSystem> LocalEngine::MakeLockable(uint32_t number,
                                                              const FileSystemRecord& record,
                                                              LockableFileSystem::Origin origin) {
  LockableFileSystem::Context context{
      *store_,
      *chunks_,
      *sums_,
      [this](uint32_t n, const FileSystemRecord& r, const std::atomic<bool>& hurry) {
        return Make(n, r, hurry);
      },
      [this] { return CountCrash(); },
      [this] { Wake(); }};
  return std::make_unique<LockableFileSystem>(std::move(context), number, record, origin);
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
    TRY(LoadFileSystem(number, record));
  }
  return Ok();
}

Result<void> LocalEngine::LoadFileSystem(uint32_t number, const FileSystemRecord& record) {
  using Origin = LockableFileSystem::Origin;
  TRY(auto unsettled, store_->Get(Table::kMeta, UnsettledKey(number)));
  if (unsettled) chunks_->NoteLoss();
  Origin origin = after_crash_ || unsettled ? Origin::kAfterCrash : Origin::kOrderly;
  if (record.encrypted) {
    lockable_[number] = MakeLockable(number, record, origin);
    return Ok();
  }
  auto fs = Make(number, record, ending_);
  auto loaded = fs->Load();
  if (!loaded) {
    return Error(loaded.code(),
                 "file system " + std::to_string(number) + ": " + loaded.error().message());
  }
  fs->KeepOrphans();
  if (origin == Origin::kAfterCrash) strays_.insert(number);
  file_systems_[number] = std::move(fs);
  return Ok();
}

Result<uint32_t> LocalEngine::CreateFileSystem(const SecretBytes* key) {
  std::lock_guard lock(mutex_);
  TRY(auto next, store_->Get(Table::kMeta, NextFileSystemKey()));
  uint64_t number = 1;
  if (next) {
    TRY(number, DecodeNumber(*next));
  }
  if (number > UINT32_MAX) return Error(Code::kLimitExceeded, "no file system number is left");
  FileSystemRecord record;
  std::unique_ptr<LockableFileSystem> lockable;
  if (key != nullptr) {
    TRY(MakeKeyCheck(*key, record));
  } else {
    record.hash_key[0] = RandomNumber();
    record.hash_key[1] = RandomNumber();
  }
  Batch batch(*store_);
  batch.Put(Table::kMeta, NextFileSystemKey(), EncodeNumber(number + 1));
  auto id = static_cast<uint32_t>(number);
  if (key != nullptr) {
    TRY(KeysPtr keys, DeriveKeys(*key, record));
    lockable = MakeLockable(id, record, LockableFileSystem::Origin::kNew);
    store_->keys().Set(id, std::move(keys));  // its first rows are sealed, too
  }
  LocalFileSystem::Format(batch, id, record, clock_, RandomNumber());
  TRY(store_->WriteAndSync(batch));
  if (lockable) {
    TRY(lockable->Unlock(*key));
    lockable_[id] = std::move(lockable);
    return id;
  }
  auto fs = Make(id, record, ending_);
  TRY(fs->Load());
  file_systems_[id] = std::move(fs);
  return id;
}

Result<void> LocalEngine::DeleteFileSystem(uint32_t number) {
  std::unique_lock lock(mutex_);
  auto found = file_systems_.find(number);
  auto lockable = lockable_.find(number);
  if (found == file_systems_.end() && lockable == lockable_.end()) return Error(Code::kNotFound);
  FileSystemRecord record;
  record.deleted = true;
  Batch batch(*store_);
  batch.Put(Table::kMeta, FileSystemKey(number), Encode(record));
  TRY(store_->WriteAndSync(batch));
  if (lockable != lockable_.end()) {
    LockableFileSystem& closing = *lockable->second;
    deleted_lockable_.push_back(std::move(lockable->second));
    lockable_.erase(lockable);
    // Waits for calls that run in it, which is no affair of the others.
    lock.unlock();
    closing.Delete();
    lock.lock();
  } else {
    found->second->MarkDeleted();
    deleted_.push_back(std::move(found->second));
    file_systems_.erase(found);
  }
  to_reclaim_.push_back(number);
  Wake();
  return Ok();
}

Result<vfs::FileSystem*> LocalEngine::GetFileSystem(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto found = file_systems_.find(number);
  if (found != file_systems_.end()) return static_cast<vfs::FileSystem*>(found->second.get());
  auto lockable = lockable_.find(number);
  if (lockable == lockable_.end()) return Error(Code::kNotFound);
  return static_cast<vfs::FileSystem*>(&lockable->second->gate());
}

Result<LockableFileSystem*> LocalEngine::FindLockable(uint32_t number) {
  std::lock_guard lock(mutex_);
  auto found = lockable_.find(number);
  if (found != lockable_.end()) return found->second.get();
  if (!file_systems_.contains(number)) return Error(Code::kNotFound);
  return Error(Code::kInvalid, "file system " + std::to_string(number) + " is not encrypted");
}

std::vector<LockableFileSystem*> LocalEngine::AllLockable() {
  std::lock_guard lock(mutex_);
  std::vector<LockableFileSystem*> all;
  for (auto& [number, fs] : lockable_) all.push_back(fs.get());
  return all;
}

Result<void> LocalEngine::Unlock(uint32_t number, const SecretBytes& key) {
  TRY(LockableFileSystem * fs, FindLockable(number));
  return fs->Unlock(key);
}

Result<void> LocalEngine::Lock(uint32_t number, vfs::LockReason reason) {
  TRY(LockableFileSystem * fs, FindLockable(number));
  return fs->Lock(reason);
}

bool LocalEngine::encrypted(uint32_t number) {
  return FindLockable(number).ok();
}

bool LocalEngine::locked(uint32_t number) {
  auto fs = FindLockable(number);
  return fs.ok() && !(*fs)->gate().open();
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
  for (LocalFileSystem* fs : All()) {
    if (!strays_.contains(fs->number())) continue;
    auto removed = fs->RemoveStrayChunks(stop_);
    if (!removed) spdlog::warn("stray chunk files: {}", removed.error().ToString());
    if (stop_) return;
    if (removed) strays_.erase(fs->number());
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
  for (LockableFileSystem* fs : AllLockable()) {
    if (stop_) return false;
    more = fs->Maintain() || more;
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
  for (char letter : {'B', 'I', 'R', 'U', 'O', 'T', 'X', 'S', 'P', 'W', 'F'}) {
    std::string prefix = MetaPrefix(letter, number);
    batch.DeleteRange(Table::kMeta, prefix, After(prefix));
  }
  TRY(store_->Write(batch));
  std::lock_guard lock(mutex_);
  to_reclaim_.pop_front();
  return true;
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
