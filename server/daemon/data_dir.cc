#include "server/daemon/data_dir.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace tarn::daemon {
namespace {

// For RocksDB's own files, sockets of the control API, logs and so on.
constexpr uint64_t kOtherFiles = 1024;

Error At(const std::string& path) {
  return Error(Code::kIo, "--data-dir: " + path + ": " + std::strerror(errno));
}

}  // namespace

Result<void> PrepareDataDir(const std::string& dir, uint32_t uid, uint32_t gid) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  struct stat info {};
  if (stat(dir.c_str(), &info) != 0) return At(dir);
  if (!S_ISDIR(info.st_mode)) {
    return Error(Code::kNotDirectory, "--data-dir: " + dir + " is no directory");
  }
  if (info.st_uid == uid && info.st_gid == gid && (info.st_mode & 07777) == 0700) return Ok();
  std::filesystem::recursive_directory_iterator at(dir, failed);
  for (; !failed && at != std::filesystem::recursive_directory_iterator(); at.increment(failed)) {
    const std::string path = at->path().string();
    if (lchown(path.c_str(), uid, gid) != 0) return At(path);
  }
  if (failed) {
    return Error(Code::kIo, "--data-dir: cannot read " + dir + ": " + failed.message());
  }
  if (chown(dir.c_str(), uid, gid) != 0) return At(dir);
  if (chmod(dir.c_str(), 0700) != 0) return At(dir);
  return Ok();
}

FileBudget RaiseOpenFiles(uint32_t connections_wanted, uint32_t engine_files_wanted) {
  rlimit limit{};
  FileBudget budget;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  }
  budget.limit = limit.rlim_cur;
  budget.engine_files =
      static_cast<uint32_t>(std::clamp<uint64_t>(budget.limit / 8, 64, engine_files_wanted));
  uint64_t taken = budget.engine_files + std::min(kOtherFiles, budget.limit / 4);
  uint64_t left = budget.limit > taken ? budget.limit - taken : 0;
  budget.connections = static_cast<uint32_t>(std::clamp<uint64_t>(left, 64, connections_wanted));
  return budget;
}

}  // namespace tarn::daemon
