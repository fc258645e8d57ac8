#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "csi/mount/fuse/connection.h"

namespace tarn::fuse {

namespace {

bool HasKill(std::string_view status, std::string_view field) {
  size_t at = status.find(field);
  if (at == std::string_view::npos) return false;
  at = status.find_first_not_of(" \t", at + field.size());
  uint64_t mask = 0;
  std::from_chars(status.data() + at, status.data() + status.size(), mask, 16);
  return (mask >> (SIGKILL - 1) & 1) != 0;
}

}  // namespace

// A signal whose action is to end the process shows up as a pending SIGKILL in each of its threads,
// while one that it handles must not make file I/O fail: so this, not FUSE's interrupt, decides.
bool Caller::Killed() const {
  if (pid <= 0) return false;
  std::string path = "/proc/" + std::to_string(pid) + "/status";
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  char text[4096];
  ssize_t size = read(fd, text, sizeof(text));
  close(fd);
  if (size <= 0) return true;
  std::string_view status(text, static_cast<size_t>(size));
  return HasKill(status, "SigPnd:") || HasKill(status, "ShdPnd:");
}

}  // namespace tarn::fuse
