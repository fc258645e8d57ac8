// Lookup, creation, reading of directories and symlinks.
#include "server/engine/local/local_file_system.h"
#include "server/vfs/names.h"
#include "server/vfs/permission.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kEntriesPerStep = 128;  // of one ReadDirectory, so that visitors may call back
constexpr uint64_t kDirectoryBytes = 4096;

}  // namespace

Result<Attributes> LocalFileSystem::Lookup(const Caller& caller, FileId directory,
                                           std::string_view name) {
  TRY(InodePtr parent, Find(directory));
  for (;;) {
    InodePtr child;
    {
      std::shared_lock lock(parent->mutex);
      TRY(UsableDirectory(caller, *parent, directory));
      TRY(CheckName(name));
      TRY(CheckAccess(caller, parent->attributes(), kMayExecute));
      TRY(Slot slot, FindName(directory.inode, name));
      if (!slot.found) return Error(Code::kNoEntry);
      TRY(child, Named(*slot.found));
    }
    std::shared_lock lock(child->mutex);
    if (!child->gone) return child->attributes();
    // Removed between the two locks: the name tells what is there now.
    if (child->gone->code() != Code::kStale) return *child->gone;
  }
}

Result<Attributes> LocalFileSystem::LookupParent(const Caller& caller, FileId directory) {
  TRY(InodePtr child, Find(directory));
  uint64_t above;
  {
    std::shared_lock lock(child->mutex);
    TRY(UsableDirectory(caller, *child, directory));
    TRY(CheckAccess(caller, child->attributes(), kMayExecute));
    TRY(Realm * realm, realms_.FindLive(caller.realm));
    above = child->record.parent;
    if (above == 0 || realm->root == directory.inode) return Error(Code::kNoEntry);
  }
  TRY(InodePtr parent, cache_.Find(above));
  std::shared_lock lock(parent->mutex);
  if (parent->gone) return *parent->gone;
  return parent->attributes();
}

struct LocalFileSystem::Made {
  Created created;
  Ticket ticket = 0;
  bool cut = false;  // an existing file, that is to be truncated
};

Result<Created> LocalFileSystem::Create(const Caller& caller, FileId directory,
                                        std::string_view name, const CreateOptions& options) {
  if (auto done = Replayed(caller); done && done->made.inode != 0) {
    TRY(Attributes made, GetAttributes(caller, done->made));
    return Created{made, done->target, false};
  }
  auto result = CreateLocked(caller, directory, name, options);
  while (result.code() == Code::kAborted) result = CreateLocked(caller, directory, name, options);
  TRY(Made made, std::move(result));
  if (made.cut) {
    AttributeChange cut;
    cut.size = 0;
    TRY(made.created.attributes, SetAttributes(caller, made.created.attributes.id, cut));
    return made.created;
  }
  TRY(store_.Sync(made.ticket));
  return made.created;
}

// Called without locks: files are not always locked after their directory. kAborted: the file went
// meanwhile.
Result<LocalFileSystem::Made> LocalFileSystem::Existing(const NameRecord& found,
                                                        const InodePtr& file,
                                                        const CreateOptions& options,
                                                        uint64_t directory_change) {
  bool unchecked = options.mode == CreateMode::kUnchecked;
  bool regular = options.type == FileType::kRegular;
  if (unchecked && regular && found.type == FileType::kDirectory) {
    return Error(Code::kIsDirectory);
  }
  if (!regular || found.type != FileType::kRegular || options.mode == CreateMode::kGuarded) {
    return Error(Code::kExists);
  }
  std::shared_lock lock(file->mutex);
  const Inode& inode = *file;
  if (inode.gone) return inode.gone->code() == Code::kStale ? Error(Code::kAborted) : *inode.gone;
  bool replay = options.mode == CreateMode::kExclusive && inode.record.has_verifier &&
                inode.record.verifier == options.verifier;
  if (!unchecked && !replay) return Error(Code::kExists);
  DirectoryChange same{directory_change, directory_change};
  Made made{{inode.attributes(), same, true}, inode.ticket, false};
  made.cut = unchecked && options.attributes.size == uint64_t{0};
  return made;
}

Result<InodeRecord> LocalFileSystem::NewRecord(const Caller& caller, const Inode& directory,
                                               const CreateOptions& options) const {
  bool is_directory = options.type == FileType::kDirectory;
  uint32_t mode = options.attributes.mode.value_or(is_directory ? 0755 : 0644);
  NewOwner owner = OwnerOfNew(caller, directory.attributes(), options.type, mode);
  InodeRecord record;
  record.type = options.type;
  record.mode = options.type == FileType::kSymlink ? 0777 : owner.mode;
  record.links = is_directory ? 2 : 1;
  record.uid = owner.uid;
  record.gid = owner.gid;
  record.realm = directory.record.realm;
  record.change = 1;
  record.access_time = record.modify_time = record.change_time = record.create_time = Now();
  record.has_verifier = options.mode == CreateMode::kExclusive;
  record.verifier = record.has_verifier ? options.verifier : 0;
  if (IsDevice(options.type)) record.device = options.device;
  if (is_directory) {
    record.size = kDirectoryBytes;
    record.parent = directory.number;
  }
  if (options.type == FileType::kSymlink) record.size = options.symlink_target.size();

  AttributeChange rest = options.attributes;
  rest.mode.reset();  // owner.mode has it
  rest.opened_for_write = true;
  Inode made(0);
  made.record = record;
  TRY(CheckChange(caller, made.attributes(), rest));
  record.mode = ModeAfterChange(caller, made.attributes(), rest);
  record.uid = rest.uid.value_or(record.uid);
  record.gid = rest.gid.value_or(record.gid);
  record.size = rest.size.value_or(record.size);
  if (rest.access_time) record.access_time = *rest.access_time;
  if (rest.modify_time) record.modify_time = *rest.modify_time;
  return record;
}

namespace {

Result<void> CheckOptions(const CreateOptions& options) {
  const auto& size = options.attributes.size;
  if (size && options.type != FileType::kRegular) return Error(Code::kInvalid);
  if (size && *size > kFileBytesMax) return Error(Code::kFileTooBig);
  if (options.type == FileType::kSymlink) {
    if (options.symlink_target.empty()) return Error(Code::kInvalid);
    if (options.symlink_target.size() > kSymlinkBytesMax) return Error(Code::kNameTooLong);
  }
  return Ok();
}

}  // namespace

Result<LocalFileSystem::Made> LocalFileSystem::CreateLocked(const Caller& caller, FileId directory,
                                                            std::string_view name,
                                                            const CreateOptions& options) {
  TRY(InodePtr parent, Find(directory));
  bool is_directory = options.type == FileType::kDirectory;
  std::shared_lock structure(structure_);
  std::unique_lock lock(parent->mutex);
  TRY(UsableDirectory(caller, *parent, directory));
  TRY(CheckName(name));
  TRY(CheckOptions(options));
  TRY(CheckAccess(caller, parent->attributes(), kMayExecute));
  TRY(Slot slot, FindName(directory.inode, name));
  if (slot.found) {
    uint64_t unchanged = parent->record.change;
    TRY(InodePtr file, Named(*slot.found));
    lock.unlock();
    return Existing(*slot.found, file, options, unchanged);
  }
  TRY(CheckAccess(caller, parent->attributes(), kMayWrite));
  TRY(CheckMake(caller, options.type));
  TRY(RefuseIfFull());
  if (is_directory) {
    TRY(uint32_t depth, DepthOf(directory.inode));
    if (depth >= kDirectoryDepthMax) return Error(Code::kNameTooLong);
  }
  TRY(InodeRecord record, NewRecord(caller, *parent, options));
  TRY(uint64_t number, NewNumber());
  auto made = std::make_shared<Inode>(number);
  record.generation = HashName(record_.hash_key, InodeKey(number_, number));
  made->record = record;
  made->stored = {record.size, 0, Place::kInline};
  made->change_stored = record.change;
  made->parent = record.parent;

  Change change(store_);
  InodeRecord touched = Touched(*parent, 1, is_directory ? 1 : 0);
  PutName(change.batch, directory.inode, slot, name, *made);
  PutInode(change.batch, *made, record);
  PutInode(change.batch, *parent, touched);
  if (options.type == FileType::kSymlink) {
    change.batch.Put(Table::kInline, InodeKey(number_, number), options.symlink_target);
  }
  DirectoryChange around{parent->record.change, touched.change};
  KeepReplay(change.batch, caller, {0, {}, around, made->id()});
  realms_.Charge(change.batch, record.realm, 0, 1);
  TRY(realms_.Charge(record.realm, 0, 1));
  auto ticket = Apply(change);
  if (!ticket) {
    (void)realms_.Charge(record.realm, 0, -1);
    return ticket.error();
  }
  parent->record = touched;
  made->ticket = *ticket;
  cache_.Add(made);
  return Made{{made->attributes(), around, false}, *ticket, false};
}

Result<bool> LocalFileSystem::ReadDirectory(const Caller& caller, FileId directory, uint64_t cookie,
                                            bool with_attributes, const DirectoryVisitor& visit) {
  TRY(InodePtr inode, Find(directory));
  {
    std::shared_lock lock(inode->mutex);
    TRY(UsableDirectory(caller, *inode, directory));
    TRY(CheckAccess(caller, inode->attributes(), kMayRead));
  }
  const std::string after = After(InodeKey(number_, directory.inode));
  for (;;) {
    std::vector<std::pair<uint64_t, NameRecord>> step;
    Result<void> status;
    if (cookie == ~uint64_t{0}) return true;
    TRY(store_.Scan(Table::kNames, NameKey(number_, directory.inode, cookie + 1), after,
                    [&](std::string_view key, std::string_view value) {
                      auto entry = DecodeName(value);
                      if (!entry) status = entry.error();
                      if (!entry) return false;
                      step.emplace_back(NumberAt(key, 12), std::move(*entry));
                      return step.size() < kEntriesPerStep;
                    }));
    TRY(std::move(status));
    for (auto& [hash, name] : step) {
      cookie = hash;
      if (name.inode == 0) continue;
      DirectoryEntry entry;
      entry.cookie = hash;
      entry.name = name.name;
      entry.attributes.id = {name.inode, name.generation};
      entry.attributes.type = name.type;
      if (with_attributes) {
        auto child = cache_.Find(name.inode);
        if (child.code() == Code::kStale) continue;  // removed meanwhile
        if (!child) return child.error();
        std::shared_lock lock((*child)->mutex);
        if ((*child)->gone) continue;
        entry.attributes = (*child)->attributes();
      }
      if (!visit(entry)) return false;
    }
    if (step.size() < kEntriesPerStep) return true;
  }
}

Result<std::string> LocalFileSystem::ReadSymlink(const Caller& caller, FileId symlink) {
  TRY(InodePtr inode, Find(symlink));
  std::shared_lock lock(inode->mutex);
  TRY(Usable(caller, *inode, symlink));
  if (inode->record.type != FileType::kSymlink) return Error(Code::kInvalid);
  TRY(auto target, store_.Get(Table::kInline, InodeKey(number_, symlink.inode)));
  if (!target) {
    return Error(Code::kCorrupt, "symlink " + std::to_string(symlink.inode) + " has no target");
  }
  return std::move(*target);
}

}  // namespace tarn::local
