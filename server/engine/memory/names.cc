// Names: lookup, create, link, remove, and reading directories.
#include "server/vfs/names.h"

#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kFirstCookie = 3;    // NFS keeps 0, 1 and 2 for itself
constexpr size_t kEntriesPerLock = 64;  // of one ReadDirectory

// FNV-1a in 63 bits: where a name stands in its directory. The same after a restart, and whatever
// happens to other names.
uint64_t CookieOf(std::string_view name) {
  uint64_t hash = 14695981039346656037u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return std::max(hash >> 1, kFirstCookie);
}

}  // namespace

void MemoryFileSystem::AddEntry(Inode& directory, std::string_view name, Inode& child) {
  uint64_t cookie = CookieOf(name);
  while (directory.by_cookie.contains(cookie)) ++cookie;
  directory.by_cookie.emplace(cookie, name);
  directory.entries.emplace(name, Entry{child.attributes.id.inode, cookie});
  if (child.attributes.type == FileType::kDirectory) {
    child.parent = directory.attributes.id.inode;
    ++directory.attributes.links;
  }
}

void MemoryFileSystem::DropEntry(Inode& directory, std::string_view name) {
  auto entry = directory.entries.find(name);
  Inode& child = inodes_.at(entry->second.inode);
  if (child.attributes.type == FileType::kDirectory) {
    child.parent = 0;
    --directory.attributes.links;
  }
  directory.by_cookie.erase(entry->second.cookie);
  directory.entries.erase(entry);
}

Result<Attributes> MemoryFileSystem::Lookup(const Caller& caller, FileId directory,
                                            std::string_view name) {
  std::lock_guard lock(mutex_);
  TRY(Inode * parent, FindDirectory(caller, directory));
  TRY(CheckName(name));
  TRY(CheckAccess(caller, parent->attributes, kMayExecute));
  Inode* child = Child(*parent, name);
  if (child == nullptr) return Error(Code::kNoEntry);
  return child->attributes;
}

Result<Attributes> MemoryFileSystem::LookupParent(const Caller& caller, FileId directory) {
  std::lock_guard lock(mutex_);
  TRY(Inode * child, FindDirectory(caller, directory));
  TRY(CheckAccess(caller, child->attributes, kMayExecute));
  bool top = child->parent == 0 || realms_.at(caller.realm).root == directory.inode;
  if (top) return Error(Code::kNoEntry);
  return inodes_.at(child->parent).attributes;
}

Result<void> MemoryFileSystem::CheckDepth(const Inode& directory) const {
  uint32_t depth = 1;
  for (const Inode* at = &directory; at->parent != 0; at = &inodes_.at(at->parent)) ++depth;
  if (depth > kDirectoryDepthMax) return Error(Code::kNameTooLong);
  return Ok();
}

Result<MemoryFileSystem::Inode*> MemoryFileSystem::MakeInode(const Caller& caller, Inode& directory,
                                                             const CreateOptions& options) {
  bool is_directory = options.type == FileType::kDirectory;
  if (is_directory) TRY(CheckDepth(directory));
  Inode inode;
  Attributes& made = inode.attributes;
  uint32_t mode = options.attributes.mode.value_or(is_directory ? 0755 : 0644);
  NewOwner owner = OwnerOfNew(caller, directory.attributes, options.type, mode);
  made.id = {next_inode_, 1};
  made.type = options.type;
  made.mode = options.type == FileType::kSymlink ? 0777 : owner.mode;
  made.links = is_directory ? 2 : 1;
  made.uid = owner.uid;
  made.gid = owner.gid;
  made.realm = directory.attributes.realm;
  made.change = 1;
  made.access_time = made.modify_time = made.change_time = made.create_time = Now();
  if (is_directory) made.size = SparseBytes::kPageBytes;
  if (IsDevice(options.type)) made.device = options.device;
  if (options.type == FileType::kSymlink) {
    inode.target = options.symlink_target;
    made.size = inode.target.size();
  }
  if (options.mode == CreateMode::kExclusive) inode.verifier = options.verifier;
  AttributeChange rest = options.attributes;
  rest.mode.reset();  // owner.mode has it
  rest.opened_for_write = true;
  TRY(CheckChange(caller, made, rest));
  TRY(Charge(made.realm, {.bytes = 0, .files = 1}));
  Apply(caller, inode, rest);
  return &inodes_.emplace(next_inode_++, std::move(inode)).first->second;
}

Result<Created> MemoryFileSystem::OpenExisting(const Caller& caller, Inode& directory,
                                               Inode& existing, const CreateOptions& options) {
  bool regular = options.type == FileType::kRegular;
  if (options.mode == CreateMode::kUnchecked && regular &&
      existing.attributes.type == FileType::kDirectory) {
    return Error(Code::kIsDirectory);
  }
  bool replay = options.mode == CreateMode::kExclusive && existing.verifier == options.verifier;
  bool fine = regular && existing.attributes.type == FileType::kRegular &&
              (replay || options.mode == CreateMode::kUnchecked);
  if (!fine) return Error(Code::kExists);
  if (options.mode == CreateMode::kUnchecked && options.attributes.size == uint64_t{0}) {
    AttributeChange cut;
    cut.size = 0;
    TRY(CheckChange(caller, existing.attributes, cut));
    Apply(caller, existing, cut);
  }
  uint64_t change = directory.attributes.change;
  return Created{existing.attributes, {change, change}, true};
}

Result<Created> MemoryFileSystem::Create(const Caller& caller, FileId directory,
                                         std::string_view name, const CreateOptions& options) {
  std::lock_guard lock(mutex_);
  TRY(Inode * parent, FindDirectory(caller, directory));
  TRY(CheckName(name));
  const auto& size = options.attributes.size;
  if (size && options.type != FileType::kRegular) return Error(Code::kInvalid);
  if (size && *size > kFileBytesMax) return Error(Code::kFileTooBig);
  if (options.type == FileType::kSymlink) {
    if (options.symlink_target.empty()) return Error(Code::kInvalid);
    if (options.symlink_target.size() > kSymlinkBytesMax) return Error(Code::kNameTooLong);
  }
  if (const Replay* done = Replayed(caller)) {
    TRY(Inode * made, Find(caller, done->made));
    return Created{made->attributes, done->target, done->existed};
  }
  TRY(CheckAccess(caller, parent->attributes, kMayExecute));
  if (Inode* existing = Child(*parent, name)) {
    return OpenExisting(caller, *parent, *existing, options);
  }
  TRY(CheckAccess(caller, parent->attributes, kMayWrite));
  TRY(CheckMake(caller, options.type));
  if (parent->attributes.links == 0) return Error(Code::kNoEntry);  // removed, but pinned
  TRY(Inode * made, MakeInode(caller, *parent, options));
  uint64_t before = parent->attributes.change;
  AddEntry(*parent, name, *made);
  DataChanged(*parent);
  DirectoryChange change{before, parent->attributes.change};
  Keep(caller, {.made = made->attributes.id, .source = {}, .target = change});
  return Created{made->attributes, change, false};
}

Result<DirectoryChange> MemoryFileSystem::Link(const Caller& caller, FileId file, FileId directory,
                                               std::string_view name) {
  std::lock_guard lock(mutex_);
  TRY(Inode * inode, Find(caller, file));
  TRY(Inode * parent, FindDirectory(caller, directory));
  TRY(CheckName(name));
  if (inode->attributes.type == FileType::kDirectory) return Error(Code::kIsDirectory);
  if (const Replay* done = Replayed(caller)) return done->target;
  TRY(CheckAccess(caller, parent->attributes, kMayExecute));
  if (Child(*parent, name) != nullptr) return Error(Code::kExists);
  TRY(CheckAccess(caller, parent->attributes, kMayWrite));
  if (inode->attributes.links == 0 || parent->attributes.links == 0) return Error(Code::kNoEntry);
  if (inode->attributes.realm != parent->attributes.realm) return Error(Code::kCrossDevice);
  if (inode->attributes.links >= kLinksMax) return Error(Code::kTooManyLinks);
  uint64_t before = parent->attributes.change;
  AddEntry(*parent, name, *inode);
  ++inode->attributes.links;
  Changed(*inode);
  DataChanged(*parent);
  DirectoryChange change{before, parent->attributes.change};
  Keep(caller, {.made = {}, .source = {}, .target = change});
  return change;
}

Result<DirectoryChange> MemoryFileSystem::Remove(const Caller& caller, FileId directory,
                                                 std::string_view name) {
  std::lock_guard lock(mutex_);
  TRY(Inode * parent, FindDirectory(caller, directory));
  TRY(CheckName(name));
  if (const Replay* done = Replayed(caller)) return done->target;
  TRY(CheckAccess(caller, parent->attributes, kMayExecute));
  Inode* child = Child(*parent, name);
  if (child == nullptr) return Error(Code::kNoEntry);
  TRY(CheckRemove(caller, parent->attributes, child->attributes));
  if (IsRealmRoot(*child)) return Error(Code::kInUse);
  if (!child->entries.empty()) return Error(Code::kNotEmpty);
  uint64_t before = parent->attributes.change;
  DropEntry(*parent, name);
  DataChanged(*parent);
  DropLink(*child);
  DirectoryChange change{before, parent->attributes.change};
  Keep(caller, {.made = {}, .source = {}, .target = change});
  return change;
}

void MemoryFileSystem::DropLink(Inode& inode) {
  bool is_directory = inode.attributes.type == FileType::kDirectory;
  inode.attributes.links -= is_directory ? inode.attributes.links : 1;
  Changed(inode);
  FreeIfUnused(inode);
}

void MemoryFileSystem::FreeIfUnused(Inode& inode) {
  if (inode.attributes.links > 0 || inode.pins > 0) return;
  if (keeps_orphans_ && inode.attributes.type == FileType::kRegular) return;
  Free(inode);
}

void MemoryFileSystem::Free(Inode& inode) {
  Count(inode.attributes.realm,
        {.bytes = -static_cast<int64_t>(inode.attributes.space_used), .files = -1});
  inodes_.erase(inode.attributes.id.inode);
}

// In steps, so that `visit` runs without the lock and may call back.
Result<bool> MemoryFileSystem::ReadDirectory(const Caller& caller, FileId directory,
                                             uint64_t cookie, bool with_attributes,
                                             const DirectoryVisitor& visit) {
  for (;;) {
    std::vector<std::pair<std::string, DirectoryEntry>> batch;
    {
      std::lock_guard lock(mutex_);
      TRY(Inode * inode, FindDirectory(caller, directory));
      TRY(CheckAccess(caller, inode->attributes, kMayRead));
      auto at = inode->by_cookie.upper_bound(cookie);
      for (; at != inode->by_cookie.end() && batch.size() < kEntriesPerLock; ++at) {
        DirectoryEntry entry;
        entry.cookie = at->first;
        const Attributes& attributes = Child(*inode, at->second)->attributes;
        if (with_attributes) {
          entry.attributes = attributes;
        } else {
          entry.attributes.id = attributes.id;
          entry.attributes.type = attributes.type;
        }
        batch.emplace_back(at->second, entry);
      }
    }
    if (batch.empty()) return true;
    for (auto& [name, entry] : batch) {
      entry.name = name;
      if (!visit(entry)) return false;
      cookie = entry.cookie;
    }
  }
}

}  // namespace tarn::engine
