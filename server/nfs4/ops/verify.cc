// VERIFY (RFC 8881 section 18.31).
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Verify(Compound& c, const VERIFY4args& args) {
  nfsstat4 status = CompareAttributes(c, args.obj_attributes);
  return status == NFS4ERR_SAME ? NFS4_OK : status;
}

}  // namespace tarn::nfs4::ops
