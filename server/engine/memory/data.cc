// Data: open, pins, read, write, commit.
#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<Attributes> MemoryFileSystem::Open(const Caller& caller, FileId file, bool read,
                                          bool write) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindRegular(caller, file));
  uint32_t wanted = (read ? kMayRead : 0) | (write ? kMayWrite : 0);
  TRY(CheckAccess(caller, inode->attributes, wanted));
  ++inode->pins;
  return inode->attributes;
}

Result<void> MemoryFileSystem::Pin(FileId file) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, Find(Caller{}, file));
  ++inode->pins;
  return Ok();
}

void MemoryFileSystem::Unpin(FileId file) {
  std::lock_guard lock(mutex_);
  auto inode = Find(Caller{}, file);
  if (!inode.ok() || (*inode)->pins == 0) return;
  --(*inode)->pins;
  FreeIfUnused(**inode);
}

Result<void> MemoryFileSystem::ReleaseOrphans() {
  std::lock_guard lock(mutex_);
  keeps_orphans_ = false;
  for (auto at = inodes_.begin(); at != inodes_.end();) {
    Inode& inode = (at++)->second;
    FreeIfUnused(inode);
  }
  return Ok();
}

// The access time moves as under Linux's relatime: when it would tell something new, at most once a
// day.
Result<ReadResult> MemoryFileSystem::Read(const Caller& caller, FileId file, bool opened,
                                          uint64_t offset, std::span<std::byte> buffer) {
  constexpr int64_t kDay = 24 * 60 * 60;
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindRegular(caller, file));
  bool trusted = opened && inode->pins > 0;
  if (!trusted) TRY(CheckAccess(caller, inode->attributes, kMayRead));
  if (buffer.size() > kIoBytesMax) return Error(Code::kInvalid);
  Attributes& attributes = inode->attributes;
  Time now = Now();
  if (attributes.access_time <= attributes.modify_time ||
      attributes.access_time.seconds <= now.seconds - kDay) {
    attributes.access_time = now;
  }
  size_t bytes = inode->data.Read(offset, buffer);
  return ReadResult{bytes, offset + bytes >= inode->data.size()};
}

Result<WriteResult> MemoryFileSystem::Write(const Caller& caller, FileId file, bool opened,
                                            uint64_t offset, std::span<const std::byte> data,
                                            Stability stability) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindRegular(caller, file));
  if (caller.read_only) return Error(Code::kReadOnly);
  bool trusted = opened && inode->pins > 0;
  if (!trusted) TRY(CheckAccess(caller, inode->attributes, kMayWrite));
  if (data.size() > kIoBytesMax) return Error(Code::kInvalid);
  if (data.empty()) return WriteResult{0, stability};
  if (offset > kFileBytesMax - data.size()) return Error(Code::kFileTooBig);
  auto growth = static_cast<int64_t>(inode->data.GrowthOf(offset, data.size()));
  TRY(Charge(inode->attributes.realm, {.bytes = growth, .files = 0}));
  bool stable = stability != Stability::kUnstable;
  if (!stable && !inode->committed) inode->committed = inode->data;
  inode->data.Write(offset, data);
  if (stable) inode->committed.reset();  // more than asked for is fine
  inode->attributes.mode = ModeAfterWrite(caller, inode->attributes);
  ShowSize(*inode);
  DataChanged(*inode);
  return WriteResult{data.size(), stability};
}

Result<void> MemoryFileSystem::Commit(const Caller& caller, FileId file, uint64_t offset,
                                      uint64_t length) {
  (void)offset;
  (void)length;
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindRegular(caller, file));
  inode->committed.reset();
  return Ok();
}

uint64_t MemoryFileSystem::WriteVerifier() const {
  std::lock_guard lock(mutex_);
  return verifier_;
}

}  // namespace tarn::engine
