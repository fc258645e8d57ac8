// DESTROY_CLIENTID (RFC 8881 section 18.50).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 DestroyClientid(Compound& c, const DESTROY_CLIENTID4args& args) {
  return c.services.clients.DestroyClient(args.dca_clientid, c.identity());
}

}  // namespace tarn::nfs4::ops
