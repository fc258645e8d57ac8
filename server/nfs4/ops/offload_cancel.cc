// OFFLOAD_CANCEL (RFC 7862 section 15.8). What is copied stays.
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 OffloadCancel(Compound& c, const OFFLOAD_CANCEL4args& args) {
  return c.services.copies.Cancel(*c.client, args.oca_stateid, c.current);
}

}  // namespace tarn::nfs4::ops
