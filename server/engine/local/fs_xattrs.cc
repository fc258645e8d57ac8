// Extended attributes: a row each, and in the inode their number and bytes.
#include "server/engine/local/local_file_system.h"
#include "server/vfs/names.h"
#include "server/vfs/permission.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

Result<void> CheckHasXattrs(const Inode& inode) {
  bool has = inode.IsDirectory() || inode.record.type == FileType::kRegular;
  return has ? Ok() : Result<void>(Error(Code::kInvalid));
}

}  // namespace

// It is the cookie of listings, so never 0.
uint64_t LocalFileSystem::XattrHash(uint64_t inode, std::string_view name) const {
  return (NameHash(inode, name) >> 2) + 3;
}

Result<std::optional<XattrRecord>> LocalFileSystem::FindXattr(const Inode& inode,
                                                              std::string_view name) const {
  if (inode.record.xattrs == 0) return std::optional<XattrRecord>();
  std::string key = XattrKey(number_, inode.number, XattrHash(inode.number, name));
  TRY(auto stored, store_.Get(Table::kXattrs, key));
  if (!stored) return std::optional<XattrRecord>();
  TRY(XattrRecord record, DecodeXattr(*stored));
  return std::optional(std::move(record));
}

Result<void> LocalFileSystem::CheckMayChangeXattr(const Caller& caller, const Inode& inode,
                                                  FileId file, std::string_view name) const {
  TRY(Usable(caller, inode, file));
  TRY(CheckHasXattrs(inode));
  TRY(CheckXattrChange(caller, inode.attributes()));
  return CheckXattrName(name);
}

Result<std::string> LocalFileSystem::GetXattr(const Caller& caller, FileId file,
                                              std::string_view name) {
  TRY(InodePtr inode, Find(file));
  std::shared_lock lock(inode->mutex);
  TRY(Usable(caller, *inode, file));
  TRY(CheckHasXattrs(*inode));
  TRY(CheckAccess(caller, inode->attributes(), kMayRead));
  TRY(CheckXattrName(name));
  TRY(auto found, FindXattr(*inode, name));
  if (!found || found->name != name) return Error(Code::kNoData);
  return std::move(found->value);
}

Result<FileChange> LocalFileSystem::StoreXattrs(const Caller& caller, Inode& inode, Batch& batch,
                                                int count, int64_t bytes) {
  InodeRecord next = inode.record;
  next.xattrs += static_cast<uint32_t>(count);
  next.xattr_bytes += static_cast<uint64_t>(bytes);
  next.change_time = Now();
  next.change = NextChange(next.change);
  FileChange change{inode.record.change, next.change};
  if (bytes > 0) TRY(RefuseIfFull(static_cast<uint64_t>(bytes)));
  TRY(realms_.Charge(next.realm, bytes, 0));
  realms_.Charge(batch, next.realm, bytes, 0);
  KeepReplay(batch, caller, {0, {}, change, {}, 0});
  InodeRecord before = std::exchange(inode.record, next);
  PutInode(batch, inode, inode.StoredForm());
  auto ticket = store_.Write(batch);
  if (!ticket) {
    inode.record = before;
    (void)realms_.Charge(next.realm, -bytes, 0);
    return ticket.error();
  }
  inode.ticket = *ticket;
  inode.change_stored = std::max(inode.change_stored, next.change);
  return change;
}

Result<FileChange> LocalFileSystem::SetXattr(const Caller& caller, FileId file,
                                             std::string_view name, std::string_view value,
                                             XattrMode mode) {
  if (auto done = Replayed(caller)) return done->target;
  TRY(InodePtr inode, Find(file));
  std::unique_lock lock(inode->mutex);
  TRY(CheckMayChangeXattr(caller, *inode, file, name));
  if (value.size() > kXattrValueBytesMax) return Error(Code::kRange);
  TRY(auto found, FindXattr(*inode, name));
  if (found && found->name != name) {
    return Error(Code::kNoSpace, "the names of two extended attributes of one file collide");
  }
  if (found && mode == XattrMode::kCreate) return Error(Code::kExists);
  if (!found && mode == XattrMode::kReplace) return Error(Code::kNoData);
  uint64_t before = found ? name.size() + found->value.size() : 0;
  uint64_t after = name.size() + value.size();
  const InodeRecord& record = inode->record;
  if (record.xattrs + (found ? 0 : 1) > kXattrsMax ||
      record.xattr_bytes - before + after > kXattrFileBytesMax) {
    return Error(Code::kNoSpace, "the file has too many extended attributes, or too large ones");
  }
  Batch batch(store_);
  batch.Put(Table::kXattrs, XattrKey(number_, inode->number, XattrHash(inode->number, name)),
            Encode(XattrRecord{std::string(name), std::string(value)}));
  auto growth = static_cast<int64_t>(after) - static_cast<int64_t>(before);
  TRY(FileChange change, StoreXattrs(caller, *inode, batch, found ? 0 : 1, growth));
  Ticket ticket = inode->ticket;
  lock.unlock();
  TRY(store_.Sync(ticket));
  return change;
}

Result<bool> LocalFileSystem::ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                                         const XattrVisitor& visit) {
  std::vector<std::pair<uint64_t, std::string>> names;  // at most kXattrsMax
  {
    TRY(InodePtr inode, Find(file));
    std::shared_lock lock(inode->mutex);
    TRY(Usable(caller, *inode, file));
    TRY(CheckHasXattrs(*inode));
    TRY(CheckAccess(caller, inode->attributes(), kMayRead));
    if (inode->record.xattrs == 0 || cookie == ~uint64_t{0}) return true;
    std::string prefix = InodeKey(number_, inode->number);
    Result<void> status;
    TRY(store_.Scan(Table::kXattrs, XattrKey(number_, inode->number, cookie + 1), After(prefix),
                    [&](std::string_view key, std::string_view value) {
                      auto xattr = DecodeXattr(value);
                      if (!xattr) status = xattr.error();
                      if (xattr) names.emplace_back(NumberAt(key, prefix.size()), xattr->name);
                      return xattr.ok();
                    }));
    TRY(std::move(status));
  }
  for (const auto& [at, name] : names) {
    if (!visit(at, name)) return false;
  }
  return true;
}

Result<FileChange> LocalFileSystem::RemoveXattr(const Caller& caller, FileId file,
                                                std::string_view name) {
  if (auto done = Replayed(caller)) return done->target;
  TRY(InodePtr inode, Find(file));
  std::unique_lock lock(inode->mutex);
  TRY(CheckMayChangeXattr(caller, *inode, file, name));
  TRY(auto found, FindXattr(*inode, name));
  if (!found || found->name != name) return Error(Code::kNoData);
  Batch batch(store_);
  batch.Delete(Table::kXattrs, XattrKey(number_, inode->number, XattrHash(inode->number, name)));
  auto bytes = static_cast<int64_t>(name.size() + found->value.size());
  TRY(FileChange change, StoreXattrs(caller, *inode, batch, -1, -bytes));
  Ticket ticket = inode->ticket;
  lock.unlock();
  TRY(store_.Sync(ticket));
  return change;
}

}  // namespace tarn::local
