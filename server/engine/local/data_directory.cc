#include "server/engine/local/data_directory.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "server/engine/local/chunk_files.h"
#include "server/engine/local/format.h"

namespace tarn::local {
namespace {

Result<void> WriteFormat(Disk& disk, const std::string& directory) {
  std::string path = directory + "/format";
  std::string temporary = path + ".new";
  std::string text = std::to_string(kFormatVersion) + "\n";
  iovec part{text.data(), text.size()};
  auto file = disk.Open(temporary, Disk::Mode::kTruncate);
  if (!file || file->Write(0, {&part, 1}) != static_cast<ssize_t>(text.size()) ||
      file->Sync() != 0) {
    return SystemError("write", temporary);
  }
  if (disk.Rename(temporary, path) != 0) return SystemError("name", path);
  return SyncDirectory(disk, directory);
}

}  // namespace

Result<void> CheckFormat(Disk& disk, const std::string& directory) {
  std::string path = directory + "/format";
  std::string text;
  if (ReadWholeFile(disk, path, &text) != 0) {
    if (errno != ENOENT) return SystemError("read", path);
    if (disk.Stat(directory + "/meta", nullptr, nullptr) == 0) {
      // The file is written before the database is made.
      return Error(Code::kCorrupt,
                   path + " is missing beside a database; restore it from a backup");
    }
    return WriteFormat(disk, directory);
  }
  uint32_t version = 0;
  auto end = std::from_chars(text.data(), text.data() + text.size(), version);
  if (end.ec != std::errc() || version == 0) {
    return Error(Code::kCorrupt, path + " holds no version; restore it from a backup");
  }
  if (version > kFormatVersion) {
    return Error(Code::kNotSupported, "the data in " + directory + " has format " +
                                          std::to_string(version) + ", this program knows up to " +
                                          std::to_string(kFormatVersion) +
                                          ": run the newer version that wrote it");
  }
  // All that older versions wrote is understood. What is written from now on they do not know.
  return version < kFormatVersion ? WriteFormat(disk, directory) : Ok();
}

Result<std::unique_ptr<DiskFile>> LockDirectory(Disk& disk, const std::string& directory) {
  std::string path = directory + "/lock";
  auto file = disk.Open(path, Disk::Mode::kCreate);
  if (!file) return SystemError("open", path);
  if (file->Lock() == 0) {
    std::string text = std::to_string(::getpid()) + "\n";
    iovec part{text.data(), text.size()};
    if (file->Truncate(0) == 0) (void)file->Write(0, {&part, 1});
    return file;
  }
  char owner[32] = {};
  ssize_t bytes = file->Read(0, std::as_writable_bytes(std::span(owner)));
  std::string pid(owner, bytes > 0 ? static_cast<size_t>(bytes) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return Error(Code::kInUse, "the data directory " + directory + " is in use by process " + pid +
                                 ": stop it, or give this one another --data-dir");
}

}  // namespace tarn::local
