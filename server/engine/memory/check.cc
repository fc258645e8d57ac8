// Check: every invariant, recomputed from the entries.
#include "server/engine/memory/memory_file_system.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

void MemoryFileSystem::CheckEntries(const Report& problem,
                                    std::unordered_map<uint64_t, uint32_t>& links) const {
  for (const auto& [number, inode] : inodes_) {
    std::string where = "inode " + std::to_string(number) + ": ";
    if (inode.entries.size() != inode.by_cookie.size()) {
      problem(where + "names and cookies differ in number");
    }
    for (const auto& [name, entry] : inode.entries) {
      auto child = inodes_.find(entry.inode);
      if (child == inodes_.end()) {
        problem(where + "entry \"" + name + "\" leads to no inode");
        continue;
      }
      ++links[entry.inode];
      const Attributes& attributes = child->second.attributes;
      if (attributes.type == FileType::kDirectory) {
        ++links[number];
        ++links[entry.inode];
        if (child->second.parent != number) problem(where + "\"" + name + "\" has another parent");
      }
      bool fits = attributes.realm == inode.attributes.realm || attributes.links > 1 ||
                  IsRealmRoot(child->second);
      if (!fits) problem(where + "\"" + name + "\" is in another realm");
    }
  }
}

void MemoryFileSystem::CheckInode(const Inode& inode, uint32_t links, const Report& problem) const {
  const Attributes& attributes = inode.attributes;
  std::string where = "inode " + std::to_string(attributes.id.inode) + ": ";
  if (attributes.links != links) {
    problem(where + "has " + std::to_string(links) + " links and says " +
            std::to_string(attributes.links));
  }
  if (!realms_.contains(attributes.realm)) problem(where + "is in no realm");
  uint64_t xattr_bytes = 0;
  for (const auto& [name, xattr] : inode.xattrs) xattr_bytes += name.size() + xattr.value.size();
  if (inode.xattr_bytes != xattr_bytes) problem(where + "counts its extended attributes wrongly");
  bool regular = attributes.type == FileType::kRegular;
  if (regular && (attributes.size != inode.data.size() ||
                  attributes.space_used != inode.data.allocated() + xattr_bytes)) {
    problem(where + "shows another size than its data has");
  }
}

void MemoryFileSystem::CheckUsage(const Report& problem) const {
  std::map<RealmId, Usage> counted;
  for (const auto& [number, inode] : inodes_) {
    auto at = realms_.find(inode.attributes.realm);
    for (; at != realms_.end(); at = realms_.find(at->second.parent)) {
      counted[at->first].bytes += inode.attributes.space_used;
      ++counted[at->first].files;
    }
  }
  for (const auto& [id, realm] : realms_) {
    std::string where = "realm " + std::to_string(id) + ": ";
    if (!inodes_.contains(realm.root)) problem(where + "has no root");
    if (counted[id].bytes != realm.usage.bytes) problem(where + "counts its bytes wrongly");
    if (counted[id].files != realm.usage.files) problem(where + "counts its files wrongly");
  }
}

Result<uint64_t> MemoryFileSystem::Check(const std::function<void(std::string_view)>& report) {
  std::lock_guard lock(mutex_);
  uint64_t problems = 0;
  Report problem = [&](const std::string& text) {
    ++problems;
    report(text);
  };
  std::unordered_map<uint64_t, uint32_t> links;
  links[realms_.at(kRootRealm).root] = 2;
  CheckEntries(problem, links);
  for (const auto& [number, inode] : inodes_) CheckInode(inode, links[number], problem);
  CheckUsage(problem);
  return problems;
}

}  // namespace tarn::engine
