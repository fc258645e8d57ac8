// READLINK (RFC 8881 section 18.24).
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 ReadLink(Compound& c) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  if (file.type != vfs::FileType::kSymlink) {
    return c.minor >= 1 && file.type != vfs::FileType::kDirectory ? NFS4ERR_WRONG_TYPE
                                                                  : NFS4ERR_INVAL;
  }
  auto target = c.engine().ReadSymlink(c.caller(), c.current.id);
  if (!target.ok()) return ToStatus(target);
  c.to.PutString(*target);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
