// DELEGPURGE and DELEGRETURN: the server, like EFS, grants no delegations, so there are none to
// return.
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 DelegPurge(Compound& c, const DELEGPURGE4args& args) {
  std::shared_ptr<Client> client;
  if (c.minor == 0) NFS_TRY(c.services.clients.FindConfirmed(args.clientid, client));
  return NFS4ERR_NOTSUPP;
}

nfsstat4 DelegReturn(Compound& c, const DELEGRETURN4args& args) {
  std::shared_ptr<State> state;
  NFS_TRY(c.FindNamed(args.deleg_stateid, state));
  return NFS4ERR_BAD_STATEID;  // an open or a lock
}

}  // namespace tarn::nfs4::ops
