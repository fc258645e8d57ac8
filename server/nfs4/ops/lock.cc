// LOCK (RFC 7530 section 16.10, RFC 8881 section 18.10). Byte-range locks are advisory, as POSIX
// ones are: they exclude each other, not I/O.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 Answer(Compound& c, Locked locked) {
  if (locked.status != NFS4_OK) return AnswerDenied(c, locked);
  AnswerStateid(c, locked.stateid);
  return NFS4_OK;
}

// In grace, too, if nobody has had a lock before: then none can be in the way. That a client has is
// on stable storage before its first one.
nfsstat4 MayLock(Compound& c, Client& client, bool reclaim) {
  NFS_TRY(CheckGrace(c, client, reclaim, kHeldLocks | kHeldDelegations));
  return ToStatus(c.services.recovery->Record(client, kHeldLocks));
}

nfsstat4 LockNew(Compound& c, const open_to_lock_owner4& by, const OpenState& named, Range range,
                 const std::shared_ptr<OpenState>& open) {
  NFS_TRY(CheckNamed(c, named, by.open_stateid));
  if (c.minor == 0 && by.lock_owner.clientid != open->client->id) return NFS4ERR_BAD_STATEID;
  if (c.minor == 0 && !open->owner->confirmed) return NFS4ERR_BAD_STATEID;
  auto owner = open->client->LockOwnerOf(Text(by.lock_owner.owner), true);
  if (!owner) return NFS4ERR_DQUOT;
  range.owner = owner.get();
  auto attempt = [&] { return c.services.files.Lock(open, owner, range); };
  if (c.minor >= 1) return Answer(c, Retry(c, attempt));
  std::lock_guard lock(owner->sequence.mutex);
  nfsstat4 status = Answer(c, Retry(c, attempt));
  if (status == NFS4_OK) {
    owner->sequence.started = true;
    owner->sequence.last = by.lock_seqid;
    owner->sequence.used = c.services.clock.Monotonic();
    // A retransmission comes in the open owner's turn; this is no reply to any LOCK of this owner.
    owner->sequence.reply.clear();
    owner->sequence.has_body = false;
    owner->sequence.status = NFS4ERR_BAD_SEQID;
  }
  return status;
}

}  // namespace

nfsstat4 Lock(Compound& c, const LOCK4args& args) {
  // A bad range is told in the owner's turn: the client counts its sequence id on (RFC 7530 section
  // 9.1.7).
  Range range;
  nfsstat4 ranged = ToRange(args.locktype, args.offset, args.length, range);
  if (args.locker.new_lock_owner) {
    const open_to_lock_owner4& by = args.locker.open_owner;
    std::shared_ptr<OpenState> open;
    NFS_TRY(FindOpen(c, by.open_stateid, open));
    return InOwnersTurn(c, *open->owner, by.open_seqid, [&]() -> nfsstat4 {
      NFS_TRY(ranged);
      NFS_TRY(MayLock(c, *open->client, args.reclaim));
      return LockNew(c, by, *open, range, open);
    });
  }
  const exist_lock_owner4& by = args.locker.lock_owner;
  std::shared_ptr<LockState> state;
  NFS_TRY(FindLock(c, by.lock_stateid, state));
  range.owner = state->owner.get();
  return InOwnersTurn(c, *state->owner, by.lock_seqid, [&]() -> nfsstat4 {
    NFS_TRY(ranged);
    NFS_TRY(MayLock(c, *state->client, args.reclaim));
    NFS_TRY(CheckNamed(c, *state, by.lock_stateid));
    return Answer(c, Retry(c, [&] { return c.services.files.Lock(state, range); }));
  });
}

}  // namespace tarn::nfs4::ops
