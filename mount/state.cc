#include "mount/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/files.h"
#include "common/log.h"

namespace tarn::mount {
namespace {

constexpr const char* kMounting = "mounting.lock";
constexpr const char* kWatching = "watching.lock";
constexpr const char* kWriting = "writing.lock";

}  // namespace

State::Hold::~Hold() {
  if (fd_ >= 0) close(fd_);
}

Result<State> State::Open(const std::string& directory) {
  std::error_code failed;
  auto parent = std::filesystem::path(directory).parent_path();
  std::filesystem::create_directories(parent, failed);
  struct stat info {};
  bool made = mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST;
  if (!made || lstat(directory.c_str(), &info) != 0) {
    return Error(Code::kInternal, "cannot make " + directory + ": " + std::strerror(errno));
  }
  bool ours = S_ISDIR(info.st_mode) && info.st_uid == geteuid() && (info.st_mode & 077) == 0;
  if (!ours) {
    return Error(Code::kInternal, directory +
                                      " must be a directory of this user, for nobody else "
                                      "(chmod 0700)");
  }
  return State(directory);
}

Result<State::Hold> State::Lock(const char* name, int operation) const {
  std::string path = directory_ + "/" + name;
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Error(Code::kInternal, "cannot open " + path + ": " + std::strerror(errno));
  Hold hold(fd);
  while (flock(fd, operation) != 0) {
    if (errno == EINTR) continue;
    return Error(Code::kAborted, path + " is locked");
  }
  return hold;
}

Result<State::Hold> State::Share() const {
  return Lock(kMounting, LOCK_SH);
}

std::optional<State::Hold> State::TryToClose() const {
  auto hold = Lock(kMounting, LOCK_EX | LOCK_NB);
  if (!hold.ok()) return std::nullopt;
  return std::move(hold).value();
}

std::optional<State::Hold> State::TryToWatch() const {
  auto hold = Lock(kWatching, LOCK_EX | LOCK_NB);
  if (!hold.ok()) return std::nullopt;
  return std::move(hold).value();
}

std::string State::PathOf(const Carriage& carriage) const {
  return directory_ + "/" + carriage.Id() + ".json";
}

Result<void> State::Write(const Carriage& carriage) const {
  // Two mounts of the same parts write the same file.
  TRY(Hold writing, Lock(kWriting, LOCK_EX));
  const std::string path = PathOf(carriage);
  auto there = ReadSmallFile(path);
  if (there.ok() && *there == carriage.ToText()) return Ok();
  if (there.ok() && carriage.address.empty() && ParseCarriage(*there).ok()) return Ok();
  return ReplaceFile(path, carriage.ToText(), 0600);
}

void State::WarnOnce(const std::string& what) const {
  if (warned_.insert(what).second) spdlog::warn("{}", what);
}

std::vector<Carriage> State::ReadAll(bool* unread) const {
  std::vector<Carriage> all;
  std::error_code failed;
  bool skipped = false;
  std::filesystem::directory_iterator at(directory_, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() != ".json") continue;
    const std::string path = at->path();
    auto text = ReadSmallFile(path);
    if (!text.ok()) {
      skipped = true;
      WarnOnce(path + " cannot be read: " + text.error().message());
      continue;
    }
    auto carriage = ParseCarriage(*text);
    if (carriage.ok() && PathOf(*carriage) == path) {
      all.push_back(std::move(carriage).value());
    } else if (carriage.code() == Code::kInvalid) {
      spdlog::warn("{} is no record, and goes", path);
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    } else {
      WarnOnce(path + " is no record of this version of mount.tarn, which leaves it alone");
    }
  }
  if (failed) WarnOnce(directory_ + " cannot be read: " + failed.message());
  if (unread != nullptr) *unread = skipped || failed;
  return all;
}

void State::Remove(const Carriage& carriage) const {
  std::error_code ignored;
  std::filesystem::remove(PathOf(carriage), ignored);
}

}  // namespace tarn::mount
