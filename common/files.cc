#include "common/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace tarn {

Result<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error(Code::kNoEntry, "cannot read " + path);
  std::string out;
  std::array<char, 4096> buffer;
  while (in.read(buffer.data(), buffer.size()), in.gcount() > 0) {
    out.append(buffer.data(), static_cast<size_t>(in.gcount()));
    if (out.size() > kSmallFileBytesMax) return Error(Code::kFileTooBig, path + " is above 1 MiB");
  }
  if (in.bad()) return Error(Code::kNoEntry, "cannot read " + path);
  return out;
}

Result<void> ReplaceFile(const std::string& path, std::string_view text, unsigned mode) {
  auto failed = [&] {
    return Error(Code::kInternal, "cannot write " + path + ": " + std::strerror(errno));
  };
  const std::string fresh = path + ".new";
  int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return failed();
  bool good = fchmod(fd, mode) == 0;  // whatever the umask is, and whoever made it
  while (good && !text.empty()) {
    ssize_t wrote = write(fd, text.data(), text.size());
    good = wrote > 0;
    if (good) text.remove_prefix(static_cast<size_t>(wrote));
  }
  good = close(fd) == 0 && good;
  if (good && std::rename(fresh.c_str(), path.c_str()) == 0) return Ok();
  Error error = failed();
  unlink(fresh.c_str());
  return error;
}

}  // namespace tarn
