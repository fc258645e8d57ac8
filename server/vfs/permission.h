// POSIX permission rules (POSIX.1-2017 XBD 4.5), written once: engines enforce them, NFS ACCESS
// tells them.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "server/vfs/types.h"

namespace tarn::vfs {

// Mode bits as POSIX orders them in each class.
inline constexpr uint32_t kMayRead = 4;
inline constexpr uint32_t kMayWrite = 2;
inline constexpr uint32_t kMayExecute = 1;  // search, for a directory

// Is `gid` the caller's group or one of its supplementary ones?
bool InGroup(const Caller& caller, uint32_t gid);

// The union of kMay* that the caller has on a file of these attributes. uid 0 may read and write
// everything, and execute what anyone may or any directory.
uint32_t Allowed(const Caller& caller, const Attributes& file);

// Ok, or kAccess when a wanted bit is missing, kReadOnly when the caller may not change anything.
Result<void> CheckAccess(const Caller& caller, const Attributes& file, uint32_t wanted);

// May the caller remove or rename the entry `file` of `directory`? Write and search on the
// directory, and with its sticky bit only for the owner of either (kPermission).
Result<void> CheckRemove(const Caller& caller, const Attributes& directory, const Attributes& file);

// May the caller make a file of that type, where it may write? Device nodes: uid 0 only
// (kPermission), as mknod(2) asks for CAP_MKNOD.
Result<void> CheckMake(const Caller& caller, FileType type);

// May the caller make this change of attributes? chmod and utimes to a value: owner or root
// (kPermission); utimes to now: also who may write; chown: root, except the owner giving a group it
// belongs to; size: who may write.
Result<void> CheckChange(const Caller& caller, const Attributes& file,
                         const AttributeChange& change);

// May the caller set or remove extended attributes? Who may write; of a sticky directory only its
// owner (kPermission), as others may write into it.
Result<void> CheckXattrChange(const Caller& caller, const Attributes& file);

// The mode after `change` by this caller: setgid is dropped when the caller is not in the file's
// group, setuid and setgid are dropped by a chown or a write that root did not do.
uint32_t ModeAfterChange(const Caller& caller, const Attributes& file,
                         const AttributeChange& change);
uint32_t ModeAfterWrite(const Caller& caller, const Attributes& file);

// The group and mode of a new entry: a setgid directory gives its group, and its setgid bit to
// directories.
struct NewOwner {
  uint32_t uid;
  uint32_t gid;
  uint32_t mode;
};
NewOwner OwnerOfNew(const Caller& caller, const Attributes& directory, FileType type,
                    uint32_t mode);

}  // namespace tarn::vfs
