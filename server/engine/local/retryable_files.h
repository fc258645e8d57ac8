// RetryableFiles: a file system for RocksDB on which no failure is for ever.
//
// RocksDB takes EIO for the end: it refuses writes until it is opened again, even when the disk is
// well by then. What it holds in memory is not harmed by it, though: it writes the tables anew, and
// nothing of the files that failed is used (which also holds for a sync that failed, whose bytes
// are lost whatever the next one says). A table that a compaction could not read is there still,
// too, and the compaction is done again. So failures are marked as ones to try again, which RocksDB
// then does; those of logs it does not see (log_files.h). Each is logged with its file.
//
// A full disk is such a failure too, with a text of its own (kDiskFull). RocksDB 7.8 has another
// way back from what it knows as one: it looks every five seconds whether there is space, may find
// something else to wait for each time, and refuses writes for compactions that had no space.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace tarn::local {

constexpr const char* kDiskFull = "no space left on the disk";

std::shared_ptr<rocksdb::FileSystem> NewRetryableFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below);

}  // namespace tarn::local
