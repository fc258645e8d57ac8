// LogFiles: the file system that RocksDB's logs lie on. It keeps written blocks ahead of their
// ends, and keeps the logs' failures from RocksDB.
//
// A sync of bytes that make a file longer, or that fill blocks which were only allocated, costs the
// file system below a commit of its journal; a sync of bytes that overwrite written blocks does
// not, and takes a sixth of the time on ext4. So a log gets filler behind its end, synced, whenever
// there is little of it left, and loses it again when it is closed. After a crash the filler is
// still there, and it is cut off before RocksDB reads the log (log_tail.h).
//
// RocksDB 7.8 never writes to a log again that has failed once, and stays read-only for ever, or
// ends the process, when it meets that log's failure a second time before it has left the log
// behind. So it never learns of one: records that could not be written or synced are kept in
// memory, the log is `failing`, and whoever asked for the sync has to look (failure). They are
// written again by Settle, and by each later sync. Meanwhile no later log is synced, as it would
// not be replayed behind a gap (log_order.h), and no table, since it has to be read with the
// records before it. A log that the disk never takes again therefore stops all changes until the
// next start.
//
// A compaction on a nearly full disk writes until it fails, and again and again. A large one is not
// given the last of the room, which the logs need so that removing still works; unless RocksDB
// holds up writes for it.
//
// Threads: any.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace tarn::local {

class FilledLog;

class LogFiles final : public rocksdb::FileSystemWrapper {
 public:
  // `scarce`: only the logs should get what is left of the disk. Asked for each piece of a
  // compaction.
  explicit LogFiles(
      const std::shared_ptr<rocksdb::FileSystem>& below,
      std::function<bool()> scarce = [] { return false; });
  ~LogFiles() override;
  const char* Name() const override { return "tarn.LogFiles"; }

  // True if there are records that could not be made durable. No system call.
  bool failing() const { return failing_.load(std::memory_order_acquire); }
  // The last failure, while `failing`.
  rocksdb::IOStatus failure() const;
  // Tries again to make durable what failed.
  rocksdb::IOStatus Settle();

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;

  // Of the logs that RocksDB holds. Syncs `log`, after those before it that fail.
  void Sync(const FilledLog& log);
  rocksdb::IOStatus Close(FilledLog& log);
  bool scarce() const { return scarce_(); }

 private:
  void Add(std::unique_ptr<rocksdb::FSWritableFile>* file);
  // Of those that fail, and of `last`, if any.
  rocksdb::IOStatus SyncThrough(const FilledLog* last);

  const std::function<bool()> scarce_;
  mutable std::mutex mutex_;                    // for what follows, and held during syncs
  std::list<std::unique_ptr<FilledLog>> logs_;  // by age; closed ones while they fail
  rocksdb::IOStatus failure_;
  std::atomic<bool> failing_{false};
};

}  // namespace tarn::local
