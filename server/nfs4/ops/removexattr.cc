// REMOVEXATTR (RFC 8276 section 8.4.4).
#include "server/nfs4/ops/xattrs.h"

namespace tarn::nfs4::ops {

nfsstat4 RemoveXattr(Compound& c, const REMOVEXATTR4args& args) {
  NFS_TRY(CheckHasXattrs(c));
  NFS_TRY(CheckXattrKey(args.rxa_name));
  NFS_TRY(c.BeginChange(c.current));
  auto removed = c.engine().RemoveXattr(c.caller(), c.current.id, args.rxa_name);
  if (!removed.ok()) return ToStatus(removed);
  Encode(c.to, ToWire(*removed));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
