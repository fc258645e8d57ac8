// OPEN_DOWNGRADE (RFC 8881 section 18.18).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 OpenDowngrade(Compound& c, const OPEN_DOWNGRADE4args& args) {
  std::shared_ptr<OpenState> open;
  NFS_TRY(FindOpen(c, args.open_stateid, open));
  return InOwnersTurn(c, *open->owner, args.seqid, [&]() -> nfsstat4 {
    NFS_TRY(CheckNamed(c, *open, args.open_stateid));
    uint32_t access = args.share_access;
    if (c.minor >= 1) access &= ~OPEN4_SHARE_ACCESS_WANT_DELEG_MASK;
    stateid4 stateid;
    {
      std::lock_guard lock(open->file->mutex);
      NFS_TRY(CheckStillNamed(c, *open, args.open_stateid));
      if (!open->Narrow(access, args.share_deny)) return NFS4ERR_INVAL;
      open->Bump();
      stateid = open->stateid();
    }
    AnswerStateid(c, stateid);
    return NFS4_OK;
  });
}

}  // namespace tarn::nfs4::ops
