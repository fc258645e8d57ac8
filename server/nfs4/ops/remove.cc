// REMOVE (RFC 8881 section 18.25).
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Remove(Compound& c, const REMOVE4args& args) {
  NFS_TRY(CheckDirectory(c));
  NFS_TRY(CheckComponent(args.target));
  NFS_TRY(c.BeginChange(c.current, args.target));
  auto removed = c.engine().Remove(c.caller(), c.current.id, args.target);
  if (!removed.ok()) return ToStatus(removed);
  Encode(c.to, REMOVE4resok{.cinfo = ToWire(*removed)});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
