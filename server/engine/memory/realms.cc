// Realms: their roots, usage, quota and end.
#include <algorithm>

#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/names.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kBytesTotal = uint64_t{1} << 40;  // what an unlimited realm shows
constexpr uint64_t kFilesTotal = uint64_t{1} << 32;

uint64_t Rest(uint64_t total, uint64_t used) {
  return total > used ? total - used : 0;
}

}  // namespace

Result<MemoryFileSystem::Inode*> MemoryFileSystem::MakeRealmDirectory(
    Inode& parent, std::string_view name, const CreationInfo& creation) {
  CreateOptions options;
  options.type = FileType::kDirectory;
  options.attributes.mode = creation.permissions & 07777;
  options.attributes.uid = creation.owner_uid;
  options.attributes.gid = creation.owner_gid;
  Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = kRootRealm, .read_only = false};
  TRY(Inode * made, MakeInode(root, parent, options));
  AddEntry(parent, name, *made);
  DataChanged(parent);
  return made;
}

// The directory at `path`.
Result<uint64_t> MemoryFileSystem::MakePath(std::string_view path,
                                            const std::optional<CreationInfo>& creation) {
  TRY(auto components, SplitPath(path));
  auto root = inodes_.find(realms_.at(kRootRealm).root);
  if (root == inodes_.end()) return Error(Code::kStale);
  Inode* at = &root->second;
  for (size_t i = 0; i < components.size(); ++i) {
    Inode* next = Child(*at, components[i]);
    if (next == nullptr) {
      if (!creation) {
        return Error(Code::kNoEntry, "path \"" + std::string(path) +
                                         "\" is not there and there is no creation info");
      }
      bool last = i + 1 == components.size();
      TRY(next, MakeRealmDirectory(*at, components[i], last ? *creation : CreationInfo{}));
    }
    if (next->attributes.type != FileType::kDirectory) {
      return Error(Code::kNotDirectory,
                   "path \"" + std::string(path) + "\" leads through what is no directory");
    }
    at = next;
  }
  return at->attributes.id.inode;
}

Usage MemoryFileSystem::Reassign(Inode& directory, RealmId from, RealmId to) {
  Usage moved;
  auto take = [&](Inode& inode) {
    if (inode.attributes.realm != from) return;  // another name of it was met before
    inode.attributes.realm = to;
    moved.bytes += inode.attributes.space_used;
    ++moved.files;
  };
  take(directory);
  for (const auto& [name, entry] : directory.entries) {
    Inode& child = inodes_.at(entry.inode);
    if (IsRealmRoot(child)) {
      Realm& inner = realms_.at(child.attributes.realm);
      inner.parent = to;
      moved.bytes += inner.usage.bytes;
      moved.files += inner.usage.files;
    } else if (child.attributes.type == FileType::kDirectory) {
      Usage below = Reassign(child, from, to);
      moved.bytes += below.bytes;
      moved.files += below.files;
    } else {
      take(child);
    }
  }
  return moved;
}

Result<RealmId> MemoryFileSystem::EnsureRealm(std::string_view path,
                                              const std::optional<CreationInfo>& creation) {
  std::lock_guard lock(mutex_);
  TRY(uint64_t root, MakePath(path, creation));
  Inode& directory = inodes_.at(root);
  RealmId outer = directory.attributes.realm;
  if (IsRealmRoot(directory)) return outer;
  RealmId id = next_realm_++;
  Usage usage = Reassign(directory, outer, id);
  realms_[id] = Realm{.root = root, .parent = outer, .quota = {}, .usage = usage};
  return id;
}

Result<void> MemoryFileSystem::SetQuota(RealmId realm, const Quota& quota) {
  std::lock_guard lock(mutex_);
  auto found = realms_.find(realm);
  if (found == realms_.end()) return Error(Code::kNotFound);
  found->second.quota = quota;
  return Ok();
}

Result<SpaceInfo> MemoryFileSystem::GetSpace(RealmId realm) {
  std::lock_guard lock(mutex_);
  auto at = realms_.find(realm);
  if (at == realms_.end()) return Error(Code::kNotFound);
  SpaceInfo info;
  info.usage = at->second.usage;
  info.quota = at->second.quota;
  info.bytes_total = info.quota.bytes_max != 0 ? info.quota.bytes_max : kBytesTotal;
  info.files_total = info.quota.files_max != 0 ? info.quota.files_max : kFilesTotal;
  info.bytes_free = Rest(info.bytes_total, info.usage.bytes);
  info.files_free = Rest(info.files_total, info.usage.files);
  for (; at != realms_.end(); at = realms_.find(at->second.parent)) {
    const auto& [quota, usage] = std::tie(at->second.quota, at->second.usage);
    if (quota.bytes_max != 0) {
      info.bytes_free = std::min(info.bytes_free, Rest(quota.bytes_max, usage.bytes));
    }
    if (quota.files_max != 0) {
      info.files_free = std::min(info.files_free, Rest(quota.files_max, usage.files));
    }
  }
  return info;
}

void MemoryFileSystem::DeleteTree(Inode& directory) {
  while (!directory.entries.empty()) {
    std::string name = directory.entries.begin()->first;
    Inode& child = *Child(directory, name);
    DeleteTree(child);
    DropEntry(directory, name);
    DropLink(child);
  }
}

// The usage of `from` is part of its parent's already, and stays so.
void MemoryFileSystem::Inherit(RealmId from, RealmId heir) {
  for (auto& [id, inner] : realms_) {
    if (inner.parent == from) inner.parent = heir;
  }
  for (auto& [number, inode] : inodes_) {
    if (inode.attributes.realm == from) inode.attributes.realm = heir;
  }
  realms_.erase(from);
}

Result<void> MemoryFileSystem::RemoveRealm(RealmId realm, bool delete_data) {
  std::lock_guard lock(mutex_);
  auto found = realms_.find(realm);
  if (found == realms_.end()) return Error(Code::kNotFound);
  if (realm == kRootRealm) {
    return Error(Code::kInvalid, "the root realm is the file system itself");
  }
  Inode& root = inodes_.at(found->second.root);
  RealmId heir = found->second.parent;
  if (delete_data) {
    for (const auto& [id, inner] : realms_) {
      if (inner.parent == realm) return Error(Code::kInUse, "another realm lies in this one");
    }
  }
  Inherit(realm, heir);
  if (!delete_data) return Ok();
  DeleteTree(root);
  Inode& parent = inodes_.at(root.parent);
  auto is_root = [&](const auto& item) { return item.second.inode == root.attributes.id.inode; };
  auto entry = std::find_if(parent.entries.begin(), parent.entries.end(), is_root);
  std::string name = entry->first;
  DropEntry(parent, name);
  DataChanged(parent);
  DropLink(root);
  return Ok();
}

}  // namespace tarn::engine
