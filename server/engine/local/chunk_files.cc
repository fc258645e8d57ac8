#include "server/engine/local/chunk_files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "common/log.h"
#include "server/engine/local/chunk_map.h"
#include "server/engine/local/health.h"

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

Error SystemError(const char* what, const std::string& path) {
  int error = errno;
  std::string message = std::string(what) + " " + path + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return Error(Code::kNoSpace, message);
  spdlog::error("disk: {}", message);
  ProcessHealth().CountError(what);
  return Error(Code::kIo, message);
}

Error SystemError(const char* what, const std::string& path, uint64_t offset) {
  return SystemError(what, path + " at byte " + std::to_string(offset));
}

Result<void> SyncDirectory(Disk& disk, const std::string& path) {
  if (disk.SyncDirectory(path) != 0) return SystemError("sync the directory", path);
  return Ok();
}

std::string DirectoryAbove(const std::string& path) {
  std::string above = std::filesystem::path(path).parent_path();
  return above.empty() ? "." : above;
}

Result<void> MakeDirectories(Disk& disk, const std::string& path) {
  std::string above = DirectoryAbove(path);
  bool made = disk.MakeDirectory(path) == 0;
  if (!made && errno == ENOENT) {
    TRY(MakeDirectories(disk, above));
    made = disk.MakeDirectory(path) == 0;
  }
  if (!made && errno == EEXIST) return Ok();
  if (!made) return SystemError("make the directory", path);
  auto synced = SyncDirectory(disk, above);
  // So that the next one does not take it for a directory whose name is durable.
  if (!synced) (void)disk.RemoveDirectory(path);
  return synced;
}

Result<void> ChunkFile::Read(uint64_t offset, std::span<std::byte> buffer) const {
  const uint64_t begin = offset;
  const auto whole = buffer;
  while (!buffer.empty()) {
    ssize_t got = file_->Read(offset, buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", path_, offset);
    if (got == 0) {
      if (keys_) std::fill(whole.begin(), whole.end(), std::byte{0});  // no ciphertext leaves this
      std::string message =
          path_ + " ends at byte " + std::to_string(offset) + ", before its block map says so";
      spdlog::error("chunk files: {}", message);
      return Error(Code::kCorrupt, message);
    }
    buffer = buffer.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return keys_ ? Decrypt(begin, whole) : Ok();
}

Result<void> ChunkFile::Encrypt(uint64_t offset, std::span<const std::byte> data,
                                std::byte* out) const {
  if (offset % kBlockBytes != 0) {
    return Error(Code::kInternal, path_ + ": bytes to encrypt begin within a block");
  }
  uint64_t block = id_.index * kChunkBlocks + offset / kBlockBytes;
  return keys_->blocks->Encrypt(id_.inode, block, data, out);
}

Result<void> ChunkFile::Decrypt(uint64_t offset, std::span<std::byte> data) const {
  if (offset % kBlockBytes != 0 || data.size() % kBlockBytes != 0) {
    return Error(Code::kInternal, path_ + ": bytes to decrypt are no whole blocks");
  }
  uint64_t first = id_.index * kChunkBlocks + offset / kBlockBytes;
  auto is_zero = [&](size_t block) {
    return std::memcmp(data.data() + block * kBlockBytes, kZeros.data(), kBlockBytes) == 0;
  };
  size_t blocks = data.size() / kBlockBytes;
  for (size_t block = 0; block < blocks;) {
    size_t run = block;
    while (run < blocks && !is_zero(run)) ++run;
    if (run == block) {
      ++block;
      continue;
    }
    auto part = data.subspan(block * kBlockBytes, (run - block) * kBlockBytes);
    TRY(keys_->blocks->Decrypt(id_.inode, first + block, part, part.data()));
    block = run;
  }
  return Ok();
}

Result<void> ChunkFile::WriteRaw(uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    iovec part{const_cast<std::byte*>(data.data()), data.size()};
    ssize_t done = file_->Write(offset, {&part, 1});
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return SystemError("write", path_, offset);
    offset += static_cast<uint64_t>(done);
    data = data.subspan(static_cast<size_t>(done));
  }
  return Ok();
}

Result<void> ChunkFile::Write(uint64_t offset, std::span<const std::byte> data) {
  if (data.size() > kWriteBytesMax) {
    return Error(Code::kInternal, path_ + ": " + std::to_string(data.size()) + " bytes at once");
  }
  if (keys_) {  // the caller's bytes stay as they are
    thread_local std::unique_ptr<std::byte[]> sealed;
    if (!sealed) sealed = std::make_unique<std::byte[]>(kWriteBytesMax);
    TRY(Encrypt(offset, data, sealed.get()));
    data = {sealed.get(), data.size()};
  }
  TRY(WriteRaw(offset, data));
  // So that a later sync of much data finds most of it done.
  if ((unstarted_ += data.size()) >= kWriteBehindBytes) {
    unstarted_ = 0;
    file_->StartWriteback();
  }
  return Ok();
}

Result<void> ChunkFile::Truncate(uint64_t bytes) {
  int64_t now = file_->Size();
  if (now < 0) return SystemError("stat", path_);
  if (static_cast<uint64_t>(now) <= bytes) return Ok();
  if (file_->Truncate(bytes) != 0) return SystemError("cut", path_);
  return Ok();
}

Result<void> ChunkFile::Reserve(uint64_t offset, uint64_t bytes) {
  if (file_->Punch(offset, bytes) == 0) {
    if (file_->Allocate(offset, bytes) == 0) return Ok();
    return SystemError("reserve", path_, offset);
  }
  if (errno != EOPNOTSUPP) return SystemError("punch", path_, offset);
  for (uint64_t done = 0; done < bytes; done += kBlockBytes) {
    TRY(WriteRaw(offset + done, std::span(kZeros).first(std::min(kBlockBytes, bytes - done))));
  }
  return Ok();
}

Result<void> ChunkFile::TrimTo(const ChunkMap& used) {
  uint64_t end = used.End();
  TRY(Truncate(end * kBlockBytes));
  for (uint64_t at = 0; at < end;) {
    uint64_t run = used.Run(at, end);
    uint64_t offset = at * kBlockBytes;
    bool punched = used.Has(at) || file_->Punch(offset, run * kBlockBytes) == 0;
    if (!punched && errno != EOPNOTSUPP) return SystemError("punch", path_, offset);
    at += run;
  }
  return Ok();
}

Result<void> ChunkFile::Sync() {
  if (file_->Sync() != 0) {
    ++failed_syncs_;
    return SystemError("sync", path_);
  }
  if (made_.load()) {
    TRY(SyncDirectory(disk_, DirectoryAbove(path_)));
    made_ = false;
  }
  return Ok();
}

ChunkFiles::ChunkFiles(Disk& disk, std::string directory, size_t open_max, bool after_crash,
                       const KeyRing& keys)
    : disk_(disk),
      root_(std::move(directory)),
      open_max_(std::max<size_t>(1, open_max / kShards)),
      after_crash_(after_crash),
      keys_(keys) {}

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
  TRY(KeysPtr keys, keys_.Of(id.fs));
  std::string path = PathOf(id);
  bool made = after_crash_;
  auto opened = disk_.Open(path, Disk::Mode::kWrite);
  if (!opened && errno == ENOENT) {
    if (!create) return std::shared_ptr<ChunkFile>();
    made = true;
    opened = disk_.Open(path, Disk::Mode::kCreate);
    if (!opened && errno == ENOENT) {
      TRY(MakeFolder(DirectoryOf(id)));
      opened = disk_.Open(path, Disk::Mode::kCreate);
    }
  }
  if (!opened) return SystemError("open", path);
  if (made) TRY(WaitForFolder(DirectoryOf(id)));
  auto file =
      std::make_shared<ChunkFile>(disk_, std::move(opened), path, made, id, std::move(keys));
  at.recent.emplace_front(id, file);
  at.open[id] = at.recent.begin();
  if (at.recent.size() > open_max_) {
    at.open.erase(at.recent.back().first);
    at.recent.pop_back();
  }
  return file;
}

Result<void> ChunkFiles::MakeFolder(const std::string& path) {
  std::lock_guard lock(folders_mutex_);
  return MakeDirectories(disk_, path);
}

// Another thread may have made the folder and not synced its name yet; so may a process that was
// killed.
Result<void> ChunkFiles::WaitForFolder(const std::string& path) {
  constexpr size_t kFoldersMax = 1 << 16;
  std::lock_guard lock(folders_mutex_);
  if (!after_crash_ || durable_folders_.contains(path)) return Ok();
  std::string above = path;
  while (above.size() > root_.size()) {
    above = DirectoryAbove(above);
    TRY(SyncDirectory(disk_, above));
  }
  TRY(SyncDirectory(disk_, DirectoryAbove(root_)));
  if (durable_folders_.size() >= kFoldersMax) durable_folders_.clear();
  durable_folders_.insert(path);
  return Ok();
}

std::optional<uint64_t> ChunkFiles::SizeOf(const ChunkId& id) const {
  uint64_t size = 0;
  if (disk_.Stat(PathOf(id), nullptr, &size) != 0) return {};
  return size;
}

Result<void> ChunkFiles::Remove(const ChunkId& id) {
  Shard& at = shard(id);
  std::lock_guard lock(at.mutex);
  if (auto found = at.open.find(id); found != at.open.end()) {
    at.recent.erase(found->second);
    at.open.erase(found);
  }
  std::string path = PathOf(id);
  if (disk_.Remove(path) != 0 && errno != ENOENT) return SystemError("remove", path);
  return Ok();
}

void ChunkFiles::Close(uint32_t fs) {
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
}

Result<void> ChunkFiles::RemoveFileSystem(uint32_t fs) {
  Close(fs);
  std::string path = root_ + "/" + Hex(fs);
  if (RemoveTree(disk_, path) != 0) return SystemError("remove", path);
  return Ok();
}

Result<void> ChunkFiles::Scan(uint32_t fs, const std::function<bool(const ChunkId&)>& visit) const {
  std::vector<std::string> folders{root_ + "/" + Hex(fs)};
  while (!folders.empty()) {
    std::string path = std::move(folders.back());
    folders.pop_back();
    std::vector<Disk::Entry> entries;
    if (disk_.List(path, &entries) != 0) {
      if (errno == ENOENT) continue;
      return SystemError("list", path);
    }
    for (const Disk::Entry& entry : entries) {
      if (entry.type == Disk::Type::kDirectory) {
        folders.push_back(path + "/" + entry.name);
        continue;
      }
      std::string_view text = entry.name;
      size_t dot = text.find('.');
      ChunkId id{fs, 0, 0};
      if (dot != std::string::npos && FromHex(text.substr(0, dot), &id.inode) &&
          FromHex(text.substr(dot + 1), &id.index) && !visit(id)) {
        return Ok();
      }
    }
  }
  return Ok();
}

}  // namespace tarn::local
