// BIND_CONN_TO_SESSION (RFC 8881 section 18.34). Any connection of the client's identity may be
// used for requests of its session (SP4_NONE binds it by use), so only the back channel needs to be
// told of it.
#include "server/nfs4/ops/back_channel.h"

namespace tarn::nfs4::ops {
namespace {

// A channel that takes both ways whenever the client leaves it to us.
bool Direction(channel_dir_from_client4 wanted, channel_dir_from_server4& given) {
  switch (wanted) {
    case CDFC4_FORE:
      given = CDFS4_FORE;
      return true;
    case CDFC4_BACK:
      given = CDFS4_BACK;
      return true;
    case CDFC4_FORE_OR_BOTH:
    case CDFC4_BACK_OR_BOTH:
      given = CDFS4_BOTH;
      return true;
    default:
      return false;
  }
}

}  // namespace

nfsstat4 BindConnToSession(Compound& c, const BIND_CONN_TO_SESSION4args& args) {
  auto session = c.services.clients.FindSession(args.bctsa_sessid, c.identity());
  if (!session || session->dead) return NFS4ERR_BADSESSION;
  BIND_CONN_TO_SESSION4resok ok;
  ok.bctsr_sessid = args.bctsa_sessid;
  if (!Direction(args.bctsa_dir, ok.bctsr_dir)) return NFS4ERR_INVAL;
  c.services.clients.Renew(*session->client);
  if (ok.bctsr_dir != CDFS4_FORE && c.call.origin != nullptr) {
    session->client->callbacks->Bind(*session->back, c.call.origin->Channel());
    ProbePath(c, *session->client);
  }
  ok.bctsr_use_conn_in_rdma_mode = false;
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
