// NVERIFY (RFC 8881 section 18.15).
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 NVerify(Compound& c, const NVERIFY4args& args) {
  nfsstat4 status = CompareAttributes(c, args.obj_attributes);
  return status == NFS4ERR_NOT_SAME ? NFS4_OK : status;
}

}  // namespace tarn::nfs4::ops
