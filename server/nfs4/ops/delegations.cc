// DELEGPURGE and DELEGRETURN (RFC 8881 sections 18.5 and 18.6).
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

// Delegations do not outlive a restart of their client (no CLAIM_DELEGATE_PREV), so that there is
// nothing to purge: a server that is so must say this.
nfsstat4 DelegPurge(Compound& c, const DELEGPURGE4args& args) {
  std::shared_ptr<Client> client;
  if (c.minor == 0) {
    NFS_TRY(c.services.clients.FindConfirmed(args.clientid, c.identity(), client));
  }
  return NFS4ERR_NOTSUPP;
}

nfsstat4 DelegReturn(Compound& c, const DELEGRETURN4args& args) {
  std::shared_ptr<State> state;
  NFS_TRY(c.FindState(args.deleg_stateid, state));
  if (state->kind != State::Kind::kDelegation) return NFS4ERR_BAD_STATEID;
  c.services.files.Close(state, c.services.clock.Monotonic());
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
