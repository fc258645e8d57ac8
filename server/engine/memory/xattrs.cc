// Extended attributes.
#include <algorithm>
#include <vector>

#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/names.h"
#include "server/vfs/permission.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<MemoryFileSystem::Inode*> MemoryFileSystem::FindWithXattrs(const Caller& caller, FileId file,
                                                                  uint32_t wanted) {
  TRY(Inode * inode, Find(caller, file));
  FileType type = inode->attributes.type;
  if (type != FileType::kRegular && type != FileType::kDirectory) return Error(Code::kInvalid);
  TRY(CheckAccess(caller, inode->attributes, wanted));
  if (wanted == kMayWrite) TRY(CheckXattrChange(caller, inode->attributes));
  return inode;
}

FileChange MemoryFileSystem::XattrsChanged(const Caller& caller, Inode& inode) {
  FileChange change{inode.attributes.change, 0};
  uint64_t bytes = 0;
  for (const auto& [name, xattr] : inode.xattrs) bytes += name.size() + xattr.value.size();
  auto growth = static_cast<int64_t>(bytes) - static_cast<int64_t>(inode.xattr_bytes);
  Count(inode.attributes.realm, {.bytes = growth, .files = 0});
  inode.xattr_bytes = bytes;
  inode.attributes.space_used += static_cast<uint64_t>(growth);
  Changed(inode);
  change.after = inode.attributes.change;
  Keep(caller, {.made = {}, .source = {}, .target = change});
  return change;
}

Result<std::string> MemoryFileSystem::GetXattr(const Caller& caller, FileId file,
                                               std::string_view name) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, FindWithXattrs(caller, file, kMayRead));
  TRY(CheckXattrName(name));
  auto found = inode->xattrs.find(name);
  if (found == inode->xattrs.end()) return Error(Code::kNoData);
  return found->second.value;
}

Result<FileChange> MemoryFileSystem::SetXattr(const Caller& caller, FileId file,
                                              std::string_view name, std::string_view value,
                                              XattrMode mode) {
  std::lock_guard lock(mutex_);
  if (const Replay* done = Replayed(caller)) return done->target;
  TRY(Inode * inode, FindWithXattrs(caller, file, kMayWrite));
  TRY(CheckXattrName(name));
  if (value.size() > kXattrValueBytesMax) return Error(Code::kRange);
  auto found = inode->xattrs.find(name);
  bool exists = found != inode->xattrs.end();
  if (exists && mode == XattrMode::kCreate) return Error(Code::kExists);
  if (!exists && mode == XattrMode::kReplace) return Error(Code::kNoData);
  uint64_t before = exists ? name.size() + found->second.value.size() : 0;
  uint64_t after = name.size() + value.size();
  bool full = inode->xattrs.size() + (exists ? 0 : 1) > kXattrsMax ||
              inode->xattr_bytes - before + after > kXattrFileBytesMax;
  if (full) return Error(Code::kNoSpace);
  Delta growth{.bytes = static_cast<int64_t>(after) - static_cast<int64_t>(before), .files = 0};
  TRY(Charge(inode->attributes.realm, growth));
  Count(inode->attributes.realm, {.bytes = -growth.bytes, .files = 0});  // XattrsChanged counts
  if (!exists) {
    found = inode->xattrs.try_emplace(std::string(name)).first;
    found->second.cookie = inode->next_xattr++;
  }
  found->second.value = value;
  return XattrsChanged(caller, *inode);
}

Result<bool> MemoryFileSystem::ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                                          const XattrVisitor& visit) {
  std::vector<std::pair<uint64_t, std::string>> names;
  {
    std::lock_guard lock(mutex_);
    TRY(Inode * inode, FindWithXattrs(caller, file, kMayRead));
    for (const auto& [name, xattr] : inode->xattrs) {
      if (xattr.cookie > cookie) names.emplace_back(xattr.cookie, name);
    }
  }
  std::sort(names.begin(), names.end());
  for (const auto& [at, name] : names) {
    if (!visit(at, name)) return false;
  }
  return true;
}

Result<FileChange> MemoryFileSystem::RemoveXattr(const Caller& caller, FileId file,
                                                 std::string_view name) {
  std::lock_guard lock(mutex_);
  if (const Replay* done = Replayed(caller)) return done->target;
  TRY(Inode * inode, FindWithXattrs(caller, file, kMayWrite));
  TRY(CheckXattrName(name));
  auto found = inode->xattrs.find(name);
  if (found == inode->xattrs.end()) return Error(Code::kNoData);
  inode->xattrs.erase(found);
  return XattrsChanged(caller, *inode);
}

}  // namespace tarn::engine
