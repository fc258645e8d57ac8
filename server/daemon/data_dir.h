// The data directory before an engine opens it, and the process's limit of open files.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace tarn::daemon {

// Makes `dir` and gives it and all in it to the owner, the directory itself last and with mode
// 0700: so a run that was stopped half way is done again, and one that was done costs nothing.
// Follows no symbolic link.
Result<void> PrepareDataDir(const std::string& dir, uint32_t uid, uint32_t gid);

// What may be open at once, from the process's limit (which is raised to the hard one).
struct FileBudget {
  uint64_t limit = 0;
  uint32_t connections = 0;
  uint32_t engine_files = 0;
};
FileBudget RaiseOpenFiles(uint32_t connections_wanted, uint32_t engine_files_wanted);

}  // namespace tarn::daemon
