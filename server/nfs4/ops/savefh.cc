// SAVEFH (RFC 8881 section 18.28).
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 SaveFh(Compound& c) {
  c.saved = c.current;
  c.saved_stateid = c.current_stateid;
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
