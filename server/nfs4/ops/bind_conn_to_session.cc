// BIND_CONN_TO_SESSION (RFC 8881 section 18.34). Any connection may be used with any session
// (SP4_NONE binds it by use), so there is nothing to keep.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 BindConnToSession(Compound& c, const BIND_CONN_TO_SESSION4args& args) {
  auto session = c.services.clients.FindSession(args.bctsa_sessid);
  if (!session) return NFS4ERR_BADSESSION;
  c.services.clients.Renew(*session->client);
  BIND_CONN_TO_SESSION4resok ok;
  ok.bctsr_sessid = args.bctsa_sessid;
  switch (args.bctsa_dir) {
    case CDFC4_FORE:
      ok.bctsr_dir = CDFS4_FORE;
      break;
    case CDFC4_BACK:
      ok.bctsr_dir = CDFS4_BACK;
      break;
    case CDFC4_FORE_OR_BOTH:
    case CDFC4_BACK_OR_BOTH:
      ok.bctsr_dir = CDFS4_BOTH;
      break;
    default:
      return NFS4ERR_INVAL;
  }
  ok.bctsr_use_conn_in_rdma_mode = false;
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
