// ACCESS (RFC 8881 section 18.1; extended attributes: RFC 8276 section 8.5).
#include "server/nfs4/ops/ops.h"
#include "server/vfs/permission.h"

namespace tarn::nfs4::ops {

nfsstat4 Access(Compound& c, const ACCESS4args& args) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  bool directory = file.type == vfs::FileType::kDirectory;
  uint32_t allowed = vfs::Allowed(c.caller(), file);
  bool write = (allowed & vfs::kMayWrite) != 0 && !c.caller().read_only;
  bool execute = (allowed & vfs::kMayExecute) != 0;
  uint32_t supported = ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND;
  supported |= directory ? ACCESS4_LOOKUP | ACCESS4_DELETE : ACCESS4_EXECUTE;
  uint32_t granted = (allowed & vfs::kMayRead) != 0 ? ACCESS4_READ : 0;
  if (execute) granted |= ACCESS4_LOOKUP | ACCESS4_EXECUTE;
  if (write) granted |= ACCESS4_MODIFY | ACCESS4_EXTEND;
  if (write && execute) granted |= ACCESS4_DELETE;
  if (c.minor >= 2 && (directory || file.type == vfs::FileType::kRegular)) {
    supported |= ACCESS4_XAREAD | ACCESS4_XAWRITE | ACCESS4_XALIST;
    if ((allowed & vfs::kMayRead) != 0) granted |= ACCESS4_XAREAD | ACCESS4_XALIST;
    if (vfs::CheckXattrChange(c.caller(), file).ok()) granted |= ACCESS4_XAWRITE;
  }
  if (!c.RightsTo(c.exported()).mount) granted &= ACCESS4_LOOKUP;  // it is passed through
  supported &= args.access;
  Encode(c.to, ACCESS4resok{.supported = supported, .access = granted & supported});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
