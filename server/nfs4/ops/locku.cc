// LOCKU (RFC 8881 section 18.12).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 LockU(Compound& c, const LOCKU4args& args) {
  uint64_t first = 0;
  uint64_t last = 0;
  nfsstat4 ranged = ToRange(args.offset, args.length, first, last);
  std::shared_ptr<LockState> state;
  NFS_TRY(FindLock(c, args.lock_stateid, state));
  return InOwnersTurn(c, *state->owner, args.seqid, [&]() -> nfsstat4 {
    NFS_TRY(ranged);
    NFS_TRY(CheckNamed(c, *state, args.lock_stateid));
    Locked unlocked = c.services.files.Unlock(state, first, last);
    NFS_TRY(unlocked.status);
    AnswerStateid(c, unlocked.stateid);
    return NFS4_OK;
  });
}

}  // namespace tarn::nfs4::ops
