// What a data directory has beside its database: the lock and the version of its format.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"
#include "server/engine/local/disk.h"

namespace tarn::local {

// Held as long as the file is open. kInUse names the process that has it.
Result<std::unique_ptr<DiskFile>> LockDirectory(Disk& disk, const std::string& directory);

// The version in a file of its own, which is read before anything of the database is. A new
// directory, or one of an older version, gets this program's. kNotSupported: a newer one wrote it.
// kCorrupt: it cannot be read, or is missing beside a database.
Result<void> CheckFormat(Disk& disk, const std::string& directory);

}  // namespace tarn::local
