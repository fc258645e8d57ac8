// Attributes and symlinks.
#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<std::string> MemoryFileSystem::ReadSymlink(const Caller& caller, FileId symlink) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, Find(caller, symlink));
  if (inode->attributes.type != FileType::kSymlink) return Error(Code::kInvalid);
  return inode->target;
}

Result<Attributes> MemoryFileSystem::GetAttributes(const Caller& caller, FileId file) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, Find(caller, file));
  return inode->attributes;
}

// Without checks. A change of size is durable at once, so all data before it becomes so too.
void MemoryFileSystem::Apply(const Caller& caller, Inode& inode, const AttributeChange& change) {
  Attributes& attributes = inode.attributes;
  attributes.mode = ModeAfterChange(caller, attributes, change);
  attributes.uid = change.uid.value_or(attributes.uid);
  attributes.gid = change.gid.value_or(attributes.gid);
  Changed(inode);
  if (change.size) {
    auto before = static_cast<int64_t>(inode.data.allocated());
    inode.data.Resize(*change.size);
    inode.committed.reset();
    ShowSize(inode);
    auto after = static_cast<int64_t>(inode.data.allocated());
    if (after != before) Count(attributes.realm, {.bytes = after - before, .files = 0});
    attributes.modify_time = attributes.change_time;
  }
  if (change.access_time_now) attributes.access_time = attributes.change_time;
  if (change.modify_time_now) attributes.modify_time = attributes.change_time;
  if (change.access_time) attributes.access_time = *change.access_time;
  if (change.modify_time) attributes.modify_time = *change.modify_time;
}

Result<Attributes> MemoryFileSystem::SetAttributes(const Caller& caller, FileId file,
                                                   const AttributeChange& change) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, Find(caller, file));
  if (change.size) {
    TRY(FindRegular(caller, file));
    if (*change.size > kFileBytesMax) return Error(Code::kFileTooBig);
  }
  TRY(CheckChange(caller, inode->attributes, change));
  Apply(caller, *inode, change);
  inode->verifier.reset();
  return inode->attributes;
}

}  // namespace tarn::engine
