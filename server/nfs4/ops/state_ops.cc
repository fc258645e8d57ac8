#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 ClientOf(Compound& c, clientid4 id, std::shared_ptr<Client>& client) {
  if (c.minor >= 1) {
    client = c.client;
    return NFS4_OK;
  }
  NFS_TRY(c.services.clients.FindConfirmed(id, c.identity(), client));
  c.services.clients.Renew(*client);
  return NFS4_OK;
}

nfsstat4 CheckGrace(Compound& c, Client& client, bool reclaim, uint32_t conflicts) {
  Recovery& recovery = *c.services.recovery;
  bool grace = recovery.InGrace();
  bool complete = c.minor >= 1 && client.reclaim_complete;
  if (!reclaim) {
    // A client that is new to this run has to say RECLAIM_COMPLETE first. One whose session
    // outlived a restart may not know of it yet, and has to only where it could get in someone's
    // way: so an open that it sends again, with an exclusive create, finds its own file.
    bool known = c.minor == 0 || complete || (client.restored && conflicts != 0);
    bool safe = !grace || (conflicts != 0 && !recovery.MayBeHeld(conflicts));
    return known && safe ? NFS4_OK : NFS4ERR_GRACE;
  }
  client.reclaims = true;
  if (!grace || complete) return NFS4ERR_NO_GRACE;
  if (!client.may_reclaim) return NFS4ERR_RECLAIM_BAD;
  recovery.Reclaims();
  return NFS4_OK;
}

namespace {

nfsstat4 FindAny(Compound& c, const stateid4& stateid, std::shared_ptr<State>& state) {
  bool current = c.minor >= 1 && SpecialOf(stateid) == SpecialStateid::kCurrent;
  if (current && !c.current_stateid) return NFS4ERR_BAD_STATEID;
  return c.FindNamed(current ? *c.current_stateid : stateid, state);
}

}  // namespace

nfsstat4 FindOpen(Compound& c, const stateid4& stateid, std::shared_ptr<OpenState>& open) {
  std::shared_ptr<State> state;
  NFS_TRY(FindAny(c, stateid, state));
  open = std::dynamic_pointer_cast<OpenState>(state);
  return open ? NFS4_OK : NFS4ERR_BAD_STATEID;
}

nfsstat4 FindLock(Compound& c, const stateid4& stateid, std::shared_ptr<LockState>& lock) {
  std::shared_ptr<State> state;
  NFS_TRY(FindAny(c, stateid, state));
  lock = std::dynamic_pointer_cast<LockState>(state);
  return lock ? NFS4_OK : NFS4ERR_BAD_STATEID;
}

nfsstat4 CheckNamed(Compound& c, const State& state, const stateid4& stateid) {
  if (state.file->key != KeyOf(c.current)) return NFS4ERR_BAD_STATEID;
  std::lock_guard lock(state.file->mutex);
  return CheckStillNamed(c, state, stateid);
}

nfsstat4 CheckStillNamed(Compound& c, const State& state, const stateid4& stateid) {
  bool current = c.minor >= 1 && SpecialOf(stateid) == SpecialStateid::kCurrent;
  return c.CheckSeqid(state, current ? c.current_stateid->seqid : stateid.seqid);
}

nfsstat4 ToRange(offset4 offset, length4 length, uint64_t& first, uint64_t& last) {
  bool to_end = length == UINT64_MAX;
  if (length == 0 || (!to_end && length - 1 > UINT64_MAX - offset)) return NFS4ERR_INVAL;
  first = offset;
  last = to_end ? UINT64_MAX : offset + (length - 1);
  return NFS4_OK;
}

nfsstat4 ToRange(nfs_lock_type4 type, offset4 offset, length4 length, Range& range) {
  if (type < READ_LT || type > WRITEW_LT) return NFS4ERR_INVAL;
  range.write = type == WRITE_LT || type == WRITEW_LT;
  return ToRange(offset, length, range.first, range.last);
}

Locked Retry(Compound& c, const std::function<Locked()>& attempt) {
  Locked locked = attempt();
  while (locked.status == NFS4ERR_DENIED && c.services.clients.DropIfExpired(locked.blocker)) {
    locked = attempt();
  }
  return locked;
}

nfsstat4 AnswerDenied(Compound& c, Locked& locked) {
  if (locked.status != NFS4ERR_DENIED) return locked.status;
  locked.denied.owner.owner = std::as_bytes(std::span(locked.denied_owner));
  Encode(c.to, locked.denied);
  c.keep_body = true;
  return NFS4ERR_DENIED;
}

}  // namespace tarn::nfs4::ops
