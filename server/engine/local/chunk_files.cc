#include "server/engine/local/chunk_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "common/log.h"
#include "server/engine/local/chunk_map.h"

namespace tarn::local {
namespace {

const std::array<std::byte, kBlockBytes> kZeros{};

constexpr uint64_t kWriteBehindBytes = 8u << 20;

std::string Hex(uint64_t number) {
  char text[17];
  auto end = std::to_chars(text, text + sizeof(text), number, 16);
  return {text, end.ptr};
}

bool FromHex(std::string_view text, uint64_t* number) {
  auto end = std::from_chars(text.data(), text.data() + text.size(), *number, 16);
  return !text.empty() && end.ec == std::errc() && end.ptr == text.data() + text.size();
}

}  // namespace

Error SystemError(const char* what) {
  int error = errno;
  std::string message = std::string(what) + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return Error(Code::kNoSpace, message);
  spdlog::error("chunk files: {}", message);
  return Error(Code::kIo, message);
}

Result<void> SyncDirectory(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("open a directory");
  int status = ::fsync(fd);
  int error = errno;
  ::close(fd);
  errno = error;
  if (status != 0) return SystemError("fsync a directory");
  return Ok();
}

Result<void> MakeDirectories(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return Ok();
  if (errno != ENOENT) return SystemError("mkdir");
  std::string above = std::filesystem::path(path).parent_path();
  TRY(MakeDirectories(above));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemError("mkdir");
  TRY(SyncDirectory(above));
  // A directory that another thread made at the same time is synced by that thread too late for us.
  return SyncDirectory(std::filesystem::path(above).parent_path());
}

ChunkFile::~ChunkFile() {
  ::close(fd_);
}

Result<void> ChunkFile::Read(uint64_t offset, std::span<std::byte> buffer) const {
  while (!buffer.empty()) {
    ssize_t got = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read a chunk file");
    if (got == 0) {
      spdlog::error("chunk files: a file in {} is shorter than its block map says", directory_);
      return Error(Code::kCorrupt, "a chunk file is shorter than its block map says");
    }
    buffer = buffer.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return Ok();
}

Result<void> ChunkFile::Write(uint64_t offset, size_t head, std::span<const std::byte> data,
                              size_t tail) {
  iovec parts[3] = {{const_cast<std::byte*>(kZeros.data()), head},
                    {const_cast<std::byte*>(data.data()), data.size()},
                    {const_cast<std::byte*>(kZeros.data()), tail}};
  iovec* part = parts;
  iovec* end = parts + 3;
  while (part != end) {
    if (part->iov_len == 0) {
      ++part;
      continue;
    }
    ssize_t done = ::pwritev(fd_, part, static_cast<int>(end - part), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return SystemError("write a chunk file");
    offset += static_cast<uint64_t>(done);
    for (auto left = static_cast<size_t>(done); left > 0;) {
      size_t step = std::min(left, part->iov_len);
      part->iov_base = static_cast<char*>(part->iov_base) + step;
      part->iov_len -= step;
      left -= step;
      if (part->iov_len == 0) ++part;
    }
  }
  // So that a later sync of much data finds most of it done.
  if ((unstarted_ += data.size()) >= kWriteBehindBytes) {
    unstarted_ = 0;
    (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
  }
  return Ok();
}

Result<void> ChunkFile::Truncate(uint64_t bytes) {
  struct stat now {};
  if (::fstat(fd_, &now) != 0) return SystemError("stat a chunk file");
  if (static_cast<uint64_t>(now.st_size) <= bytes) return Ok();
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return SystemError("cut a chunk file");
  return Ok();
}

Result<void> ChunkFile::Sync() {
  if (::fdatasync(fd_) != 0) return SystemError("fdatasync a chunk file");
  if (made_.load()) {
    TRY(SyncDirectory(directory_));
    made_ = false;
  }
  return Ok();
}

ChunkFiles::ChunkFiles(std::string directory, size_t open_max, bool after_crash)
    : root_(std::move(directory)),
      open_max_(std::max<size_t>(1, open_max / kShards)),
      after_crash_(after_crash) {}

std::string ChunkFiles::DirectoryOf(const ChunkId& id) const {
  // A thousand files in a folder, a thousand folders in a folder: neighbours share a folder, and
  // with it the sync of their names.
  return root_ + "/" + Hex(id.fs) + "/" + Hex(id.inode >> 20) + "/" + Hex((id.inode >> 10) & 0x3ff);
}

std::string ChunkFiles::PathOf(const ChunkId& id) const {
  return DirectoryOf(id) + "/" + Hex(id.inode) + "." + Hex(id.index);
}

Result<std::shared_ptr<ChunkFile>> ChunkFiles::Open(const ChunkId& id, bool create) {
  Shard& at = shard(id);
  std::lock_guard lock(at.mutex);
  if (auto found = at.open.find(id); found != at.open.end()) {
    at.recent.splice(at.recent.begin(), at.recent, found->second);
    return found->second->second;
  }
  std::string path = PathOf(id);
  bool made = after_crash_;
  int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    if (!create) return std::shared_ptr<ChunkFile>();
    made = true;
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) {
      TRY(MakeDirectories(DirectoryOf(id)));
      fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
  }
  if (fd < 0) return SystemError("open a chunk file");
  auto file = std::make_shared<ChunkFile>(fd, DirectoryOf(id), made);
  at.recent.emplace_front(id, file);
  at.open[id] = at.recent.begin();
  if (at.recent.size() > open_max_) {
    at.open.erase(at.recent.back().first);
    at.recent.pop_back();
  }
  return file;
}

std::optional<uint64_t> ChunkFiles::SizeOf(const ChunkId& id) const {
  struct stat now {};
  if (::stat(PathOf(id).c_str(), &now) != 0) return {};
  return static_cast<uint64_t>(now.st_size);
}

Result<void> ChunkFiles::Remove(const ChunkId& id) {
  Shard& at = shard(id);
  std::lock_guard lock(at.mutex);
  if (auto found = at.open.find(id); found != at.open.end()) {
    at.recent.erase(found->second);
    at.open.erase(found);
  }
  if (::unlink(PathOf(id).c_str()) != 0 && errno != ENOENT) {
    return SystemError("remove a chunk file");
  }
  return Ok();
}

Result<void> ChunkFiles::RemoveFileSystem(uint32_t fs) {
  for (Shard& at : shards_) {
    std::lock_guard lock(at.mutex);
    for (auto file = at.recent.begin(); file != at.recent.end();) {
      if (file->first.fs == fs) {
        at.open.erase(file->first);
        file = at.recent.erase(file);
      } else {
        ++file;
      }
    }
  }
  std::error_code error;
  std::filesystem::remove_all(root_ + "/" + Hex(fs), error);
  if (error) return Error(Code::kIo, "remove chunk files: " + error.message());
  return Ok();
}

Result<void> ChunkFiles::Scan(uint32_t fs, const std::function<bool(const ChunkId&)>& visit) const {
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(root_ + "/" + Hex(fs), error);
  if (error == std::errc::no_such_file_or_directory) return Ok();
  while (!error && at != std::filesystem::recursive_directory_iterator()) {
    std::string name = at->path().filename();
    size_t dot = name.find('.');
    ChunkId id{fs, 0, 0};
    std::string_view text = name;
    if (dot != std::string::npos && FromHex(text.substr(0, dot), &id.inode) &&
        FromHex(text.substr(dot + 1), &id.index) && !visit(id)) {
      return Ok();
    }
    at.increment(error);
  }
  if (error) return Error(Code::kIo, "list chunk files: " + error.message());
  return Ok();
}

}  // namespace tarn::local
