// GETFH (RFC 8881 section 18.8).
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 GetFh(Compound& c) {
  c.to.PutOpaque(HandleOf(c, c.current));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
