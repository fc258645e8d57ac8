#include "csi/mount/helper.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "common/result.h"
#include "csi/mount/fuse_start.h"
#include "csi/mount/helper_runner.h"
#include "csi/mount/mount_info.h"
#include "csi/mount/nfs_mount.h"

namespace tarn::csi {
namespace {

using Arguments = std::vector<std::string>;

constexpr int kMountDepthMax = 64;  // mounts on one target that umount takes away
constexpr int kPoliteUnmounts = 5;  // tries before an unmount of a busy mount is lazy
constexpr std::chrono::milliseconds kBusyPause{100};

Error Failed(const std::string& what, int number) {
  auto code = [&] {
    switch (number) {
      case ENOENT:
        return Code::kNotFound;
      case ENOTCONN:
      case ECONNABORTED:
      case ESTALE:
        return Code::kStale;
      case EACCES:
      case EPERM:
        return Code::kDenied;
      case ENOTDIR:
        return Code::kNotDirectory;
      case ENOTEMPTY:
        return Code::kNotEmpty;
      case EBUSY:
        return Code::kInUse;
      default:
        return Code::kInternal;
    }
  }();
  return Error(code, what + ": " + std::strerror(number));
}

Result<std::string> MakeDirectory(const Arguments& arguments) {
  std::error_code failed;
  std::filesystem::create_directories(arguments[0], failed);
  if (failed) return Failed("cannot make the directory " + arguments[0], failed.value());
  return std::string();
}

Result<std::string> RemoveDirectory(const Arguments& arguments) {
  if (rmdir(arguments[0].c_str()) != 0 && errno != ENOENT) {
    return Failed("cannot remove the directory " + arguments[0], errno);
  }
  return std::string();
}

Result<std::string> Bind(const Arguments& arguments) {
  TRY(MakeDirectory({arguments[1]}));
  const char* source = arguments[0].c_str();
  const char* target = arguments[1].c_str();
  if (mount(source, target, nullptr, MS_BIND, nullptr) != 0) {
    return Failed("cannot bind " + arguments[0] + " to " + arguments[1], errno);
  }
  // A bind mount takes its flags from its source; read-only is a second step.
  if (arguments[2] == "ro" &&
      mount(nullptr, target, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) {
    int number = errno;
    umount2(target, MNT_DETACH);
    return Failed("cannot make " + arguments[1] + " read-only", number);
  }
  return std::string();
}

Result<std::string> UnmountAll(const std::string& target, bool politely) {
  for (int i = 0; i < kMountDepthMax; ++i) {
    TRY(auto mounts, ReadMountInfo());
    if (!FindMount(mounts, target)) return std::string();
    int number = EBUSY;
    for (int attempt = 0; politely && attempt < kPoliteUnmounts && number == EBUSY; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(kBusyPause);
      number = umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
    }
    if (number == 0 || umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) continue;
    if (errno == EINVAL || errno == ENOENT) continue;  // it went away meanwhile
    return Failed("cannot unmount " + target, errno);
  }
  return Error(Code::kInternal, "more than " + std::to_string(kMountDepthMax) + " mounts on " +
                                    target + ": something mounts there again and again");
}

Result<std::string> Unmount(const Arguments& arguments, bool politely) {
  TRY(UnmountAll(arguments[0], politely));
  if (arguments.size() > 1 && arguments[1] == "rmdir") return RemoveDirectory(arguments);
  return std::string();
}

Result<std::string> Check(const Arguments& arguments) {
  struct stat info {};
  if (stat(arguments[0].c_str(), &info) != 0) return Failed(arguments[0], errno);
  if (!S_ISDIR(info.st_mode)) {
    return Error(Code::kNotDirectory, arguments[0] + " is not a directory");
  }
  return std::string();
}

Result<std::string> StatFs(const Arguments& arguments) {
  struct statfs info {};
  if (statfs(arguments[0].c_str(), &info) != 0) return Failed(arguments[0], errno);
  std::string text;
  for (uint64_t number : {static_cast<uint64_t>(info.f_bsize), static_cast<uint64_t>(info.f_blocks),
                          static_cast<uint64_t>(info.f_bavail), static_cast<uint64_t>(info.f_files),
                          static_cast<uint64_t>(info.f_ffree)}) {
    text += (text.empty() ? "" : " ") + std::to_string(number);
  }
  return text;
}

Result<std::string> MountNfs(const Arguments& arguments) {
  Arguments options(arguments.begin() + 3, arguments.end());
  TRY(MakeDirectory({arguments[2]}));
  TRY(NfsMount(arguments[0], arguments[1], arguments[2], options));
  return std::string();
}

Result<std::string> StartFuse(const Arguments& arguments) {
  FuseStart start;
  TRY(MakeDirectory({std::filesystem::path(arguments[0]).parent_path()}));
  start.log_file = arguments[0];
  start.cgroup = arguments[1];
  start.deadline = std::chrono::milliseconds(std::atol(arguments[2].c_str()));
  TRY(MakeDirectory({arguments[3]}));
  start.arguments.assign(arguments.begin() + 4, arguments.end());
  start.target = arguments[3];
  TRY(StartFuseProcess(start));
  return std::string();
}

struct Operation {
  size_t arguments;  // at least
  Result<std::string> (*run)(const Arguments&);
};

const std::map<std::string, Operation>& Operations() {
  static const std::map<std::string, Operation> operations = {
      {"mkdir", {1, MakeDirectory}},
      {"rmdir", {1, RemoveDirectory}},
      {"bind", {3, Bind}},
      {"umount", {1, [](const Arguments& a) { return Unmount(a, true); }}},
      {"detach", {1, [](const Arguments& a) { return Unmount(a, false); }}},
      {"check", {1, Check}},
      {"statfs", {1, StatFs}},
      {"mount-nfs", {3, MountNfs}},
      {"start-fuse", {4, StartFuse}},
  };
  return operations;
}

}  // namespace

int HelperMain(int argc, char** argv) {
  Arguments arguments(argv + 1, argv + argc);
  auto found = arguments.empty() ? Operations().end() : Operations().find(arguments[0]);
  if (found == Operations().end() || arguments.size() - 1 < found->second.arguments) {
    return ReportHelperResult(
        Error(Code::kInvalid, "'helper' is for tarn-csi itself: unknown operation or arguments"));
  }
  arguments.erase(arguments.begin());
  return ReportHelperResult(found->second.run(arguments));
}

}  // namespace tarn::csi
