// OPEN (RFC 7530 section 16.16, RFC 8881 section 18.16).
//
// Share reservations are kept as the RFC has them (Linux and libnfs never ask for a deny mode).
// Delegations are given where the export has them; EFS has none.
#include "server/nfs4/ops/open_delegation.h"
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 CheckShare(Compound& c, const OPEN4args& args) {
  uint32_t allowed = OPEN4_SHARE_ACCESS_BOTH;
  if (c.minor >= 1) {
    allowed |= OPEN4_SHARE_ACCESS_WANT_DELEG_MASK |
               OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL |
               OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED;
  }
  // Wishes that FATTR4_OPEN_ARGUMENTS does not offer; an answer without them is fine (RFC 9754).
  if (c.minor >= 2) {
    allowed |=
        OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS | OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION;
  }
  bool none = (args.share_access & OPEN4_SHARE_ACCESS_BOTH) == 0;
  if (none || (args.share_access & ~allowed) != 0) return NFS4ERR_INVAL;
  return args.share_deny <= OPEN4_SHARE_DENY_BOTH ? NFS4_OK : NFS4ERR_INVAL;
}

nfsstat4 CheckClaim(Compound& c, Client& client, const OPEN4args& args) {
  switch (args.claim.claim) {
    case CLAIM_FH:
      if (c.minor == 0) return NFS4ERR_INVAL;
      [[fallthrough]];
    case CLAIM_NULL:
      NFS_TRY(
          CheckGrace(c, client, false,
                     args.share_deny == OPEN4_SHARE_DENY_NONE ? kHeldDeny | kHeldDelegations : 0));
      break;
    case CLAIM_PREVIOUS:
      NFS_TRY(CheckGrace(c, client, true));
      break;
    case CLAIM_DELEG_CUR_FH:
      if (c.minor == 0) return NFS4ERR_INVAL;
      [[fallthrough]];
    case CLAIM_DELEGATE_CUR:
      break;  // it has the file already
    default:
      return NFS4ERR_NOTSUPP;  // delegations do not outlive their client's restart
  }
  bool create = args.openhow.opentype == OPEN4_CREATE;
  return create && args.claim.claim != CLAIM_NULL ? NFS4ERR_INVAL : NFS4_OK;
}

// Takes the share; drops clients whose leases ran out and that are in the way, and recalls
// delegations.
Opened Share(Compound& c, const std::shared_ptr<Client>& client,
             const std::shared_ptr<OpenOwner>& owner, const OPEN4args& args, OpenedFile& file) {
  for (;;) {
    Opened opened = c.services.files.Open(client, owner, KeyOf(file.file),
                                          args.share_access & OPEN4_SHARE_ACCESS_BOTH,
                                          args.share_deny, file.resize.has_value(), file.pin);
    bool again =
        opened.status == NFS4ERR_SHARE_DENIED && c.services.clients.DropIfExpired(opened.blocker);
    if (!opened.recall.empty()) again = c.services.delegations.Recall(opened.recall) == NFS4_OK;
    if (!again) return opened;
  }
}

void Answer(Compound& c, const OPEN4args& args, const Opened& opened, const OpenedFile& file,
            OpenOwner& owner) {
  OPEN4resok ok;
  ok.stateid = opened.stateid;
  ok.cinfo = file.cinfo;
  ok.rflags = OPEN4_RESULT_LOCKTYPE_POSIX;
  if (args.claim.claim == CLAIM_PREVIOUS) owner.confirmed = true;
  if (c.minor == 0 && !owner.confirmed) ok.rflags |= OPEN4_RESULT_CONFIRM;
  // Open files stay when their last name goes, over a restart too: no need to rename them away.
  if (c.minor >= 1) ok.rflags |= OPEN4_RESULT_PRESERVE_UNLINKED;
  ok.attrset = file.set;
  bool given = false;
  ok.delegation = Delegate(c, args, owner, *opened.state, file.file, given);
  Encode(c.to, ok);
  c.SetCurrent(file.file);
  // Under a delegation the client keeps what it is told: not what was so before it was given.
  if (!given) c.fresh = file.attributes;
  c.current_stateid = opened.stateid;
}

nfsstat4 Run(Compound& c, const OPEN4args& args, const std::shared_ptr<Client>& client,
             const std::shared_ptr<OpenOwner>& owner) {
  NFS_TRY(CheckShare(c, args));
  NFS_TRY(CheckClaim(c, *client, args));
  DelegationPtr held;
  if (ClaimsDelegation(args)) NFS_TRY(ClaimedDelegation(c, args, *client, held));
  OpenedFile file;
  NFS_TRY(OpenFile(c, args, file));
  if (held && held->file->key != KeyOf(file.file)) return NFS4ERR_BAD_STATEID;
  Opened opened = Share(c, client, owner, args, file);
  NFS_TRY(opened.status);
  // Its record from before a restart stays when grace ends.
  if (c.services.recovery->InGrace()) c.services.recovery->Returned(client->key);
  nfsstat4 status = ToStatus(c.services.recovery->Record(
      *client, args.share_deny != OPEN4_SHARE_DENY_NONE ? kHeldDeny : 0));
  if (status == NFS4_OK) status = TruncateOpened(c, file);
  if (status != NFS4_OK) {
    c.services.files.TakeBack(opened, c.services.clock.Monotonic());
    return status;
  }
  {
    std::lock_guard lock(opened.state->file->mutex);
    opened.state->OpenedBy(c.CallerFor(file.file).uid, args.share_access & OPEN4_SHARE_ACCESS_BOTH);
  }
  Answer(c, args, opened, file, *owner);
  return NFS4_OK;
}

// A new OPEN of an owner that never confirmed its first one starts it afresh (RFC 7530 section
// 16.18.5).
void ForgetUnconfirmed(Compound& c, OpenOwner& owner, uint32_t seqid) {
  bool afresh = !owner.confirmed && owner.sequence.started && seqid != owner.sequence.last;
  if (!afresh) return;
  std::vector<std::shared_ptr<State>> opens;
  {
    std::lock_guard lock(owner.client.mutex);
    for (const auto& [id, state] : owner.client.states) {
      auto open = std::dynamic_pointer_cast<OpenState>(state);
      if (open && open->owner.get() == &owner) opens.push_back(open);
    }
  }
  for (const auto& open : opens) c.services.files.Close(open, c.services.clock.Monotonic());
  owner.sequence.started = false;
}

}  // namespace

nfsstat4 Open(Compound& c, const OPEN4args& args) {
  std::shared_ptr<Client> client;
  NFS_TRY(ClientOf(c, args.owner.clientid, client));
  auto owner = client->OpenOwnerOf(Text(args.owner.owner));
  if (!owner) return NFS4ERR_DQUOT;
  if (c.minor >= 1) return Run(c, args, client, owner);
  std::lock_guard lock(owner->sequence.mutex);
  ForgetUnconfirmed(c, *owner, args.seqid);
  return c.InTurn(owner->sequence, args.seqid, [&] { return Run(c, args, client, owner); });
}

}  // namespace tarn::nfs4::ops
