// What several operations on opens and locks share.
#pragma once

#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

// The client of the call: the session's in 4.1, else the one of that id, whose lease it renews.
nfsstat4 ClientOf(Compound& c, clientid4 id, std::shared_ptr<Client>& client);

// May the client get new state (or reclaim what it had) now? NFS4ERR_GRACE, NFS4ERR_NO_GRACE,
// NFS4ERR_RECLAIM_BAD. `conflicts`: what of others it could conflict with (kHeldDeny and so on);
// it may be had in grace too if nobody can have held that before (RFC 8881 section 8.4.2.1). Zero:
// anything.
nfsstat4 CheckGrace(Compound& c, Client& client, bool reclaim, uint32_t conflicts = 0);

// The open state that a stateid names, for an operation of its owner: found whatever its sequence,
// which CheckNamed looks at once it is the owner's turn.
nfsstat4 FindOpen(Compound& c, const stateid4& stateid, std::shared_ptr<OpenState>& open);
nfsstat4 FindLock(Compound& c, const stateid4& stateid, std::shared_ptr<LockState>& lock);
nfsstat4 CheckNamed(Compound& c, const State& state, const stateid4& stateid);
// The same of its sequence alone, with the file's lock held: an OPEN or LOCK of the same owner that
// runs at the same time may have gone on from there, and what was named is not that one any more.
nfsstat4 CheckStillNamed(Compound& c, const State& state, const stateid4& stateid);

// [offset, offset + length) as an inclusive range; NFS4ERR_INVAL if it is none.
nfsstat4 ToRange(offset4 offset, length4 length, uint64_t& first, uint64_t& last);
nfsstat4 ToRange(nfs_lock_type4 type, offset4 offset, length4 length, Range& range);

// Runs `attempt` again as long as what denies it belongs to clients whose leases ran out.
Locked Retry(Compound& c, const std::function<Locked()>& attempt);
// The status, and the body of NFS4ERR_DENIED.
nfsstat4 AnswerDenied(Compound& c, Locked& locked);

// Runs `operation` in the owner's turn (4.0) or at once (4.1).
template <typename Owner>
nfsstat4 InOwnersTurn(Compound& c, Owner& owner, uint32_t seqid,
                      const std::function<nfsstat4()>& operation) {
  if (c.minor >= 1) return operation();
  std::lock_guard lock(owner.sequence.mutex);
  return c.InTurn(owner.sequence, seqid, operation);
}

inline void AnswerStateid(Compound& c, const stateid4& stateid) {
  Encode(c.to, stateid);
  c.current_stateid = stateid;
}

inline std::string_view Text(xdr::Opaque bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tarn::nfs4::ops
