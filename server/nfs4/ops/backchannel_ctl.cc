// BACKCHANNEL_CTL (RFC 8881 section 18.33): how the session's client wants to be called from now
// on.
#include "server/nfs4/ops/back_channel.h"

namespace tarn::nfs4::ops {

nfsstat4 BackchannelCtl(Compound& c, const BACKCHANNEL_CTL4args& args) {
  CallbackProgram program{.number = args.bca_cb_program, .flavor = {}, .credential = {}};
  // RPCSEC_GSS only: no such context is known here.
  if (!ChooseSecurity(args.bca_sec_parms, program)) return NFS4ERR_NOENT;
  c.client->callbacks->SetProgram(*c.session->back, std::move(program));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
