// CLOSE (RFC 8881 section 18.2). Locks that the open still holds go with it.
#include <utility>

#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 Close(Compound& c, const CLOSE4args& args) {
  std::shared_ptr<OpenState> open;
  NFS_TRY(FindOpen(c, args.open_stateid, open));
  return InOwnersTurn(c, *open->owner, args.seqid, [&]() -> nfsstat4 {
    NFS_TRY(CheckNamed(c, *open, args.open_stateid));
    auto now = c.services.clock.Monotonic();
    bool keep = c.minor == 0;
    auto named = [&] { return CheckStillNamed(c, *open, args.open_stateid); };
    NFS_TRY(c.services.files.CloseIf(named, open, now, keep));
    if (keep) {
      auto before = std::exchange(open->owner->last_closed, open).lock();
      if (before) open->client->Remove(before->id, now);
    }
    stateid4 stateid = InvalidStateid();
    if (c.minor == 0) {
      std::lock_guard lock(open->file->mutex);
      open->Bump();
      stateid = open->stateid();
    }
    AnswerStateid(c, stateid);
    return NFS4_OK;
  });
}

}  // namespace tarn::nfs4::ops
