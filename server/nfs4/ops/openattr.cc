// OPENATTR (RFC 8881 section 18.17): EFS has no named attributes.
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 OpenAttr(Compound&, const OPENATTR4args&) {
  return NFS4ERR_NOTSUPP;
}

}  // namespace tarn::nfs4::ops
