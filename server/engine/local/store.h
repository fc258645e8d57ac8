// Store: the database below the engine. RocksDB with one log for all tables, a merge operator for
// usage, and a sync of the log that concurrent callers share. Here, and only here, values of
// encrypted file systems (SealedFor) are sealed and opened, each for its table and key: RocksDB
// never sees them plain.
//
// Threads: any. Errors: kIo, kNoSpace, kCorrupt; kUnavailable: the file system is locked. After a
// full disk it comes back by itself once there is space (Recover).
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/result.h"
#include "server/engine/local/disk.h"
#include "server/engine/local/file_system_keys.h"
#include "server/engine/local/format.h"
#include "server/engine/local/group_commit.h"
#include "server/engine/local/local_engine.h"
#include "server/engine/local/log_files.h"

namespace tarn::local {

class Store;

// Changes that become visible, and after a crash are there, together.
class Batch {
 public:
  explicit Batch(const Store& store) : store_(store) {}
  void Put(Table table, const std::string& key, std::string_view value);
  void Delete(Table table, const std::string& key);
  void DeleteRange(Table table, const std::string& first, const std::string& after);
  void AddUsage(const std::string& key, const UsageDelta& delta);
  bool empty() const { return batch_.Count() == 0; }
  size_t bytes() const { return batch_.GetDataSize(); }
  void Clear() { batch_.Clear(), sealed_ = {}; }

 private:
  friend class Store;
  const Store& store_;
  rocksdb::WriteBatch batch_;
  Result<void> sealed_;  // an error: a value could not be, and the batch is not to be written
};

class Store {
 public:
  // A point in the order of changes, to wait for.
  using Ticket = GroupCommit::Ticket;

  static Result<std::unique_ptr<Store>> Open(const LocalOptions& options);
  ~Store();

  Result<std::optional<std::string>> Get(Table table, const std::string& key,
                                         const rocksdb::Snapshot* snapshot = nullptr) const;
  // All keys in [first, after), in order. Ends early when `visit` returns false. A value that was
  // to be sealed and is not, or is another place's, is visited as "", which no decoder takes.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  Result<void> Scan(Table table, const std::string& first, const std::string& after,
                    const Visitor& visit, const rocksdb::Snapshot* snapshot = nullptr) const;

  // Applies the batch: visible at once, on stable storage after Sync of the ticket. Without one, a
  // killed process may lose it.
  Result<Ticket> Write(Batch& batch);
  // Waits until everything up to the ticket is on stable storage. One caller syncs for all.
  Result<void> Sync(Ticket ticket) { return group_.Wait(ticket); }
  Result<void> WriteAndSync(Batch& batch);
  // What was written so far survives the end of this process, but not of the machine.
  Result<void> Flush();
  // Everything written so far.
  Ticket Latest() const { return written_.load(); }

  // Does it take changes? After a failed write it calls Recover first. kIo, kNoSpace.
  Result<void> Ready();
  // Tries to serve again. Called now and then.
  void Recover();
  bool failed() const { return failed_ || logs_->failing(); }

  // A consistent view of everything, until the pointer goes.
  std::shared_ptr<const rocksdb::Snapshot> TakeSnapshot() const;
  // Only removing is allowed? `growth`: bytes about to be written, which bring the next look at the
  // disk nearer.
  bool DiskIsFull(uint64_t growth);
  // Is there room for so much, besides what is kept free?
  bool HasRoom(uint64_t bytes) const;
  // A write said so.
  void NoteDiskFull() { disk_full_ = true; }
  // Must space be found, for writers or for the ballast file?
  bool NeedsSpace() { return DiskIsFull(0) || ballast_missing_; }
  // Looks at the disk's free space again, and keeps the ballast file.
  void CheckDisk();
  // On a full disk: lets the database give back what removed records still take. May take long;
  // ends early when `stop` is true.
  void ReclaimSpace(std::atomic<bool>& stop);
  // Verifies the checksums of all table files: vfs::Engine::ScrubTables.
  Result<vfs::ScrubCounts> Scrub(const vfs::ScrubPace& pace,
                                 const std::function<void(std::string_view)>& report) const;
  uint64_t syncs() const { return syncs_.load(); }
  // Of the file systems in it.
  KeyRing& keys() { return keys_; }
  const KeyRing& keys() const { return keys_; }

 private:
  friend class Batch;
  // The keys that the row is sealed with; nullptr: it is plain.
  Result<KeysPtr> KeysOf(Table table, std::string_view key) const;
  // Of an encrypted file system's row: `value` is sealed into `sealed`, and stands for it then.
  Result<void> Seal(Table table, std::string_view key, std::string_view& value,
                    std::string& sealed) const;
  explicit Store(const LocalOptions& options);
  rocksdb::ColumnFamilyHandle* handle(Table table) const {
    return handles_[static_cast<size_t>(table)];
  }
  Error Translate(const rocksdb::Status& status) const;
  // Bytes that are kept free for removing.
  uint64_t Reserve(const Disk::Space& space) const;
  void DropBallast();
  Result<Ticket> SyncAll();
  Error Failed(const rocksdb::Status& status);

  const LocalOptions options_;
  Disk& disk_;
  const std::string ballast_;  // a file that is given up when the disk is full
  uint64_t ballast_bytes_ = 0;
  std::atomic<bool> ballast_missing_{false};             // there was no room for it yet
  const std::shared_ptr<LogFiles> logs_;                 // shared with env_
  const std::unique_ptr<rocksdb::Env> env_;              // outlives the database
  const std::unique_ptr<rocksdb::WalFilter> log_order_;  // the same
  std::unique_ptr<rocksdb::DB> db_;
  KeyRing keys_;
  std::array<rocksdb::ColumnFamilyHandle*, kTables> handles_{};
  std::atomic<bool> disk_full_{false};
  std::atomic<uint64_t> grown_{0};      // bytes since the last look at the disk
  std::atomic<uint64_t> grown_max_{0};  // look again after so many
  mutable std::atomic<bool> failed_{false};
  std::atomic<bool> failed_full_{false};  // for want of space
  std::mutex recover_mutex_;
  std::chrono::steady_clock::time_point wait_again_{};  // guarded by recover_mutex_

  std::atomic<Ticket> written_{0};
  Ticket reclaimed_at_ = 0;  // of the engine's thread
  std::atomic<uint64_t> syncs_{0};
  GroupCommit group_{[this] { return SyncAll(); }};
};

}  // namespace tarn::local
