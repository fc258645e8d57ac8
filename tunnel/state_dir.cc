#include "tunnel/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "common/crypto/secret_bytes.h"
#include "common/files.h"
#include "common/log.h"
#include "tunnel/records.pb.h"

namespace tarn::tunnel {
namespace {

constexpr uint32_t kVersion = 1;
constexpr mode_t kDirMode = 0700;
constexpr mode_t kFileMode = 0600;

Error Failed(const std::string& what) {
  return Error(Code::kUnavailable, "--state-dir: " + what + ": " + std::strerror(errno));
}

Result<void> MakeDir(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  if (mkdir(path.c_str(), kDirMode) != 0 && errno != EEXIST) return Failed("cannot make " + path);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return Failed(path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
    return Error(Code::kUnavailable,
                 "--state-dir: " + path + " is not a directory of this process's user");
  }
  if (chmod(path.c_str(), kDirMode) != 0) return Failed("cannot set the mode of " + path);
  return Ok();
}

// No mount's name begins with the dot of what is not whole yet.
Result<void> WriteWhole(const std::string& dir, const std::string& name, const std::string& bytes) {
  std::string path = dir + "/" + name;
  std::string next = dir + "/." + name;
  Fd fd(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd.open()) return Failed("cannot make " + next);
  for (size_t at = 0; at < bytes.size();) {
    ssize_t written = write(fd.get(), bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno != EINTR) {
      Error error = Failed("cannot write " + next);
      unlink(next.c_str());
      return error;
    }
    if (written > 0) at += static_cast<size_t>(written);
  }
  // Against a crash of this process alone: the directory does not outlive the machine.
  if (rename(next.c_str(), path.c_str()) != 0) return Failed("cannot replace " + path);
  return Ok();
}

Result<MountRecord> Parse(std::string bytes, const std::string& name) {
  records::MountRecord record;
  bool parsed = record.ParseFromString(bytes);
  WipeBytes(bytes.data(), bytes.size());
  if (!parsed || record.version() != kVersion || record.request().mount_id() != name) {
    WipeRequest(*record.mutable_request());
    return Error(Code::kCorrupt, "is no record of this mount, or a newer one");
  }
  MountRecord made;
  made.request.Swap(record.mutable_request());
  made.at = {record.address(), static_cast<uint16_t>(record.port())};
  return made;
}

}  // namespace

void WipeRequest(v1::OpenMountRequest& request) {
  std::string& key = *request.mutable_private_key_pem();
  WipeBytes(key.data(), key.size());
  key.clear();
}

MountRecord::~MountRecord() {
  WipeRequest(request);
}

Result<StateDir> StateDir::Open(const std::string& path) {
  StateDir dir(path);
  TRY(MakeDir(path));
  TRY(MakeDir(dir.MountsDir()));
  return dir;
}

Result<void> StateDir::Put(const v1::OpenMountRequest& request, const LocalAddress& at) const {
  records::MountRecord record;
  record.set_version(kVersion);
  *record.mutable_request() = request;
  record.set_address(at.address);
  record.set_port(at.port);
  std::string bytes = record.SerializeAsString();
  WipeRequest(*record.mutable_request());
  Result<void> written = WriteWhole(MountsDir(), request.mount_id(), bytes);
  WipeBytes(bytes.data(), bytes.size());
  return written;
}

Result<void> StateDir::Remove(const std::string& mount_id) const {
  std::string path = MountsDir() + "/" + mount_id;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failed("cannot remove " + path);
  return Ok();
}

Result<std::vector<MountRecord>> StateDir::Load() const {
  std::vector<MountRecord> records;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(MountsDir().c_str()), closedir);
  if (!dir) return Failed("cannot read " + MountsDir());
  while (const dirent* entry = readdir(dir.get())) {
    std::string name = entry->d_name;
    std::string path = MountsDir() + "/" + name;
    if (name == "." || name == "..") continue;
    if (name.starts_with('.')) {
      unlink(path.c_str());  // what was being written when its writer died
      continue;
    }
    auto bytes = ReadSmallFile(path);
    auto record = bytes.ok() ? Parse(std::move(*bytes), name) : Result<MountRecord>(bytes.error());
    if (record.ok()) {
      records.push_back(std::move(record).value());
    } else {
      spdlog::error("{}: {}; this mount is not open", path, record.error().message());
    }
  }
  return records;
}

Result<Fd> StateDir::Lock() const {
  std::string path = path_ + "/lock";
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd.open()) return Failed("cannot open " + path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return Failed("cannot lock " + path);
  return Fd();
}

}  // namespace tarn::tunnel
