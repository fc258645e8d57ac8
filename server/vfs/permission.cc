#include "server/vfs/permission.h"

#include <algorithm>

namespace tarn::vfs {
namespace {

constexpr uint32_t kSetUid = 04000;
constexpr uint32_t kSetGid = 02000;
constexpr uint32_t kSticky = 01000;
constexpr uint32_t kGroupExecute = 00010;

bool Owns(const Caller& caller, const Attributes& file) {
  return caller.uid == 0 || caller.uid == file.uid;
}

// setuid and setgid go when someone other than root changes what runs under them. setgid without
// group execute once meant mandatory locking and is no privilege, so it stays.
uint32_t WithoutPrivilege(const Caller& caller, FileType type, uint32_t mode) {
  if (caller.uid == 0 || type != FileType::kRegular) return mode;
  mode &= ~kSetUid;
  if ((mode & kGroupExecute) != 0) mode &= ~kSetGid;
  return mode;
}

}  // namespace

bool InGroup(const Caller& caller, uint32_t gid) {
  return caller.gid == gid ||
         std::find(caller.gids.begin(), caller.gids.end(), gid) != caller.gids.end();
}

uint32_t Allowed(const Caller& caller, const Attributes& file) {
  if (caller.uid == 0) {
    bool executable = file.type == FileType::kDirectory || (file.mode & 0111) != 0;
    return kMayRead | kMayWrite | (executable ? kMayExecute : 0);
  }
  if (caller.uid == file.uid) return (file.mode >> 6) & 7;
  if (InGroup(caller, file.gid)) return (file.mode >> 3) & 7;
  return file.mode & 7;
}

Result<void> CheckAccess(const Caller& caller, const Attributes& file, uint32_t wanted) {
  if ((wanted & kMayWrite) != 0 && caller.read_only) return Error(Code::kReadOnly);
  if ((wanted & ~Allowed(caller, file)) != 0) return Error(Code::kAccess);
  return Ok();
}

Result<void> CheckRemove(const Caller& caller, const Attributes& directory,
                         const Attributes& file) {
  TRY(CheckAccess(caller, directory, kMayWrite | kMayExecute));
  bool sticky = (directory.mode & kSticky) != 0;
  if (sticky && !Owns(caller, directory) && !Owns(caller, file)) return Error(Code::kPermission);
  return Ok();
}

Result<void> CheckMake(const Caller& caller, FileType type) {
  if (IsDevice(type) && caller.uid != 0) return Error(Code::kPermission);
  return Ok();
}

Result<void> CheckChange(const Caller& caller, const Attributes& file,
                         const AttributeChange& change) {
  if (caller.read_only) return Error(Code::kReadOnly);
  bool owner_only = change.mode || change.access_time || change.modify_time;
  if (owner_only && !Owns(caller, file)) return Error(Code::kPermission);
  if (change.uid && *change.uid != file.uid && caller.uid != 0) return Error(Code::kPermission);
  if (change.gid && *change.gid != file.gid && caller.uid != 0 &&
      !(caller.uid == file.uid && InGroup(caller, *change.gid))) {
    return Error(Code::kPermission);
  }
  bool writes = change.size && !change.opened_for_write;
  bool touches = (change.access_time_now || change.modify_time_now) && !Owns(caller, file);
  if (writes || touches) TRY(CheckAccess(caller, file, kMayWrite));
  return Ok();
}

Result<void> CheckXattrChange(const Caller& caller, const Attributes& file) {
  TRY(CheckAccess(caller, file, kMayWrite));
  bool sticky = file.type == FileType::kDirectory && (file.mode & kSticky) != 0;
  if (sticky && !Owns(caller, file)) return Error(Code::kPermission);
  return Ok();
}

uint32_t ModeAfterChange(const Caller& caller, const Attributes& file,
                         const AttributeChange& change) {
  uint32_t mode = change.mode.value_or(file.mode) & 07777;
  if (change.mode && caller.uid != 0 && !InGroup(caller, change.gid.value_or(file.gid))) {
    mode &= ~kSetGid;
  }
  bool moves = (change.uid && *change.uid != file.uid) || (change.gid && *change.gid != file.gid);
  bool cuts = change.size && *change.size != file.size;
  if ((moves || cuts) && !change.mode) mode = WithoutPrivilege(caller, file.type, mode);
  return mode;
}

uint32_t ModeAfterWrite(const Caller& caller, const Attributes& file) {
  return WithoutPrivilege(caller, file.type, file.mode);
}

NewOwner OwnerOfNew(const Caller& caller, const Attributes& directory, FileType type,
                    uint32_t mode) {
  NewOwner made{caller.uid, caller.gid, mode & 07777};
  if ((directory.mode & kSetGid) != 0) {
    made.gid = directory.gid;
    if (type == FileType::kDirectory) made.mode |= kSetGid;
  }
  bool foreign_setgid = type != FileType::kDirectory && (made.mode & kSetGid) != 0 &&
                        caller.uid != 0 && !InGroup(caller, made.gid);
  if (foreign_setgid) made.mode &= ~kSetGid;
  return made;
}

}  // namespace tarn::vfs
