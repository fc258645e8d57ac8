// DESTROY_SESSION (RFC 8881 section 18.37).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 DestroySession(Compound& c, const DESTROY_SESSION4args& args) {
  bool own = c.session && c.session->id == args.dsa_sessionid;
  if (own && !c.is_last()) return NFS4ERR_NOT_ONLY_OP;
  return c.services.clients.DestroySession(args.dsa_sessionid, c.identity(), c.client.get());
}

}  // namespace tarn::nfs4::ops
