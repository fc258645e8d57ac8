// OPEN_CONFIRM (RFC 7530 section 16.18), 4.0 only.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 OpenConfirm(Compound& c, const OPEN_CONFIRM4args& args) {
  std::shared_ptr<OpenState> open;
  NFS_TRY(FindOpen(c, args.open_stateid, open));
  return InOwnersTurn(c, *open->owner, args.seqid, [&]() -> nfsstat4 {
    NFS_TRY(CheckNamed(c, *open, args.open_stateid));
    if (open->owner->confirmed) return NFS4ERR_BAD_STATEID;
    open->owner->confirmed = true;
    stateid4 stateid;
    {
      std::lock_guard lock(open->file->mutex);
      open->Bump();
      stateid = open->stateid();
    }
    AnswerStateid(c, stateid);
    return NFS4_OK;
  });
}

}  // namespace tarn::nfs4::ops
