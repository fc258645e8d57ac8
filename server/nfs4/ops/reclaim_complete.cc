// RECLAIM_COMPLETE (RFC 8881 section 18.51).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 ReclaimComplete(Compound& c, const RECLAIM_COMPLETE4args& args) {
  // Of one file system only: said after a migration, of which there are none.
  if (args.rca_one_fs) return c.current ? NFS4_OK : NFS4ERR_NOFILEHANDLE;
  // Said to the last run, for all we know, and sent again by a client that does not know of this
  // one: it has reclaimed nothing here. It goes on being told to, and then says so again.
  if (c.may_be_of_last_run && c.client->MustBeToldOfRestart()) return NFS4_OK;
  if (c.client->reclaim_complete.exchange(true)) return NFS4ERR_COMPLETE_ALREADY;
  c.services.recovery->ReclaimComplete(c.client->key);
  c.services.EndGraceIfDue();
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
