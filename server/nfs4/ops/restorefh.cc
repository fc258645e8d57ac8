// RESTOREFH (RFC 8881 section 18.27).
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 RestoreFh(Compound& c) {
  if (!c.saved) return c.minor == 0 ? NFS4ERR_RESTOREFH : NFS4ERR_NOFILEHANDLE;
  c.SetCurrent(c.saved);
  c.current_stateid = c.saved_stateid;
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
