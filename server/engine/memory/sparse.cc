// Sparse files, clones and copies.
#include <algorithm>
#include <vector>

#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/permission.h"
#include "server/vfs/ranges.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

// More than this is no size for a file in memory: its pages alone would be millions.
constexpr uint64_t kReserveBytesMax = uint64_t{4} << 30;

}  // namespace

Result<MemoryFileSystem::Inode*> MemoryFileSystem::FindToWrite(const Caller& caller, FileId file,
                                                               bool opened) {
  TRY(Inode * inode, FindRegular(caller, file));
  if (caller.read_only) return Error(Code::kReadOnly);
  bool trusted = opened && inode->pins > 0;
  if (!trusted) TRY(CheckAccess(caller, inode->attributes, kMayWrite));
  return inode;
}

void MemoryFileSystem::DataStored(const Caller& caller, Inode& inode) {
  inode.committed.reset();
  auto before = static_cast<int64_t>(inode.attributes.space_used);
  inode.attributes.mode = ModeAfterWrite(caller, inode.attributes);
  ShowSize(inode);
  auto after = static_cast<int64_t>(inode.attributes.space_used);
  Count(inode.attributes.realm, {.bytes = after - before, .files = 0});
  DataChanged(inode);
}

Result<void> MemoryFileSystem::Allocate(const Caller& caller, FileId file, bool opened,
                                        uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  if (Replayed(caller) != nullptr) return Ok();
  TRY(Inode * inode, FindToWrite(caller, file, opened));
  TRY(CheckAllocate(offset, length));
  auto growth = static_cast<int64_t>(inode->data.GrowthOf(offset, length));
  TRY(Charge(inode->attributes.realm, {.bytes = growth, .files = 0}));
  Count(inode->attributes.realm, {.bytes = -growth, .files = 0});  // DataStored counts
  if (length > kReserveBytesMax) return Error(Code::kNoSpace);
  inode->data.Reserve(offset, length);
  if (offset + length > inode->data.size()) inode->data.Resize(offset + length);
  DataStored(caller, *inode);
  Keep(caller, {});
  return Ok();
}

Result<void> MemoryFileSystem::Deallocate(const Caller& caller, FileId file, bool opened,
                                          uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  if (Replayed(caller) != nullptr) return Ok();
  TRY(Inode * inode, FindToWrite(caller, file, opened));
  uint64_t size = inode->data.size();
  TRY(uint64_t end, PunchEnd(std::min(offset, size), length, size));
  if (offset < size) inode->data.Punch(offset, end - offset);
  DataStored(caller, *inode);
  Keep(caller, {});
  return Ok();
}

Result<SeekResult> MemoryFileSystem::Seek(const Caller& caller, FileId file, bool opened,
                                          uint64_t offset, ExtentKind what) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindRegular(caller, file));
  bool trusted = opened && inode->pins > 0;
  if (!trusted) TRY(CheckAccess(caller, inode->attributes, kMayRead));
  uint64_t size = inode->data.size();
  if (offset >= size) return Error(Code::kRange, "the offset is not within the file");
  uint64_t found = inode->data.Next(offset, what == ExtentKind::kHole);
  return SeekResult{found, found == size};
}

Result<MemoryFileSystem::Sides> MemoryFileSystem::FindSides(const Caller& caller,
                                                            const DataPlace& source,
                                                            const DataPlace& target) {
  TRY(Inode * from, FindRegular(caller, source.file));
  bool trusted = source.opened && from->pins > 0;
  if (!trusted) TRY(CheckAccess(caller, from->attributes, kMayRead));
  TRY(Inode * to, FindToWrite(caller, target.file, target.opened));
  return Sides{from, to};
}

Result<void> MemoryFileSystem::Clone(const Caller& caller, const DataPlace& source,
                                     const DataPlace& target, uint64_t length) {
  std::lock_guard lock(mutex_);
  if (Replayed(caller) != nullptr) return Ok();
  TRY(Sides sides, FindSides(caller, source, target));
  SparseBytes& data = sides.target->data;
  TRY(length, CloneLength({.one_file = sides.source == sides.target,
                           .source_offset = source.offset,
                           .source_size = sides.source->data.size(),
                           .target_offset = target.offset,
                           .target_size = data.size(),
                           .length = length}));
  auto pages = static_cast<int64_t>(sides.source->data.PagesIn(source.offset, length)) -
               static_cast<int64_t>(data.PagesIn(target.offset, length));
  int64_t growth = pages * static_cast<int64_t>(SparseBytes::kPageBytes);
  TRY(Charge(sides.target->attributes.realm, {.bytes = growth, .files = 0}));
  Count(sides.target->attributes.realm, {.bytes = -growth, .files = 0});
  data.Share(sides.source->data, source.offset, target.offset, length);
  if (target.offset + length > data.size()) data.Resize(target.offset + length);
  DataStored(caller, *sides.target);
  Keep(caller, {});
  return Ok();
}

void MemoryFileSystem::CopyBytes(const Inode& source, uint64_t from, Inode& target, uint64_t to,
                                 uint64_t length) {
  std::vector<std::byte> buffer(std::min<uint64_t>(length, kIoBytesMax));
  for (uint64_t done = 0; done < length; done += buffer.size()) {
    buffer.resize(std::min<uint64_t>(length - done, buffer.size()));
    source.data.Read(from + done, buffer);
    target.data.Write(to + done, buffer);
  }
}

Result<uint64_t> MemoryFileSystem::Copy(const Caller& caller, const DataPlace& source,
                                        const DataPlace& target, uint64_t length) {
  std::lock_guard lock(mutex_);
  if (const Replay* done = Replayed(caller)) return done->copied;
  TRY(Sides sides, FindSides(caller, source, target));
  TRY(length, CopyLength({.one_file = sides.source == sides.target,
                          .source_offset = source.offset,
                          .source_size = sides.source->data.size(),
                          .target_offset = target.offset,
                          .target_size = sides.target->data.size(),
                          .length = length}));
  length = std::min(length, kCopyBytesMax);
  if (length == 0) return length;
  auto growth = static_cast<int64_t>(sides.target->data.GrowthOf(target.offset, length));
  TRY(Charge(sides.target->attributes.realm, {.bytes = growth, .files = 0}));
  Count(sides.target->attributes.realm, {.bytes = -growth, .files = 0});
  CopyBytes(*sides.source, source.offset, *sides.target, target.offset, length);
  DataStored(caller, *sides.target);
  Keep(caller, {.made = {}, .source = {}, .target = {}, .copied = length});
  return length;
}

}  // namespace tarn::engine
