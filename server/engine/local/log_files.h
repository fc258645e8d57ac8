// LogFiles: the file system that RocksDB's logs lie on, which keeps written blocks ahead of their
// ends.
//
// A sync of bytes that make a file longer, or that fill blocks which were only allocated, costs the
// file system below a commit of its journal; a sync of bytes that overwrite written blocks does
// not, and takes a sixth of the time on ext4. So a log gets kFillBytes of filler behind its end,
// synced, whenever there is little of it left, and loses it again when it is closed.
//
// Records that could not be written or synced are kept in memory and written again by the next
// sync, so that a log outlives a disk that is full or fails for a while.
//
// After a crash the filler is still there, and it is cut off before RocksDB reads the log
// (log_tail.h).
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace tarn::local {

// Filler for the files whose names end with ".log"; all else is `below`'s.
std::shared_ptr<rocksdb::FileSystem> NewLogFiles(const std::shared_ptr<rocksdb::FileSystem>& below);

}  // namespace tarn::local
