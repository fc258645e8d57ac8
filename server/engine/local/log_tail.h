// What a crash leaves at the end of RocksDB's logs: filler (log_files.h), and records of which the
// disk has only parts. Both lie behind all that was synced, in any order of blocks.
#pragma once

#include <string>

#include "common/result.h"
#include "server/engine/local/disk.h"

namespace tarn::local {

// No sync of a log covers more, so whole records so far behind a broken one were synced.
inline constexpr uint64_t kUnsyncedMax = 16 << 20;

// Cuts every log in the directory, and every list of tables (MANIFEST), which RocksDB would refuse
// when its last record is torn, behind its last whole record, durably. A log that goes on for
// long behind what is broken was damaged and not torn: it is left as it is, for RocksDB to refuse.
// Not while a database is open there. kIo.
Result<void> CutLogTails(Disk& disk, const std::string& directory);

}  // namespace tarn::local
