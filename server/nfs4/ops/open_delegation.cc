#include "server/nfs4/ops/open_delegation.h"

#include "server/nfs4/ops/back_channel.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

// A client that said what delegation it wants is told why it gets none.
open_delegation4 None(const OPEN4args& args, why_no_delegation4 why) {
  open_delegation4 none{.delegation_type = OPEN_DELEGATE_NONE};
  uint32_t wants = args.share_access & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK;
  if (wants == OPEN4_SHARE_ACCESS_WANT_NO_PREFERENCE) return none;
  none.delegation_type = OPEN_DELEGATE_NONE_EXT;
  none.od_whynone.ond_why = why;
  return none;
}

// May this OPEN bring one at all?
bool MayHave(Compound& c, const OPEN4args& args, const OpenOwner& owner, const CurrentFile& file,
             why_no_delegation4& why) {
  uint32_t wants = args.share_access & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK;
  bool reclaim = args.claim.claim == CLAIM_PREVIOUS;
  why = WND4_NOT_WANTED;
  if (wants == OPEN4_SHARE_ACCESS_WANT_NO_DELEG) return false;
  if (reclaim && args.claim.delegate_type == OPEN_DELEGATE_NONE) return false;
  why = WND4_CANCELLED;
  if (wants == OPEN4_SHARE_ACCESS_WANT_CANCEL) return false;
  why = WND4_NOT_SUPP_FTYPE;
  if (!file.exported->delegations) return false;
  why = WND4_CONTENTION;
  // Who has to confirm first is asked first (RFC 7530 section 16.16.5).
  if (c.minor == 0 && !owner.confirmed) return false;
  if (!reclaim && c.services.recovery->InGrace()) return false;
  why = WND4_RESOURCE;
  if (!MayBeCalled(c)) return false;
  return reclaim || owner.client.callbacks->Ready();
}

// The space that a writer may count on is not limited; what others may do with the file, the
// client asks by ACCESS.
open_delegation4 Given(const DelegationState& state, const stateid4& stateid, bool recall) {
  open_delegation4 given;
  nfsace4 permissions{.type = 0, .flag = 0, .access_mask = 0, .who = "EVERYONE@"};
  if (state.write) {
    given.delegation_type = OPEN_DELEGATE_WRITE;
    given.write = {.stateid = stateid,
                   .recall = recall,
                   .space_limit = {.limitby = NFS_LIMIT_SIZE, .filesize = UINT64_MAX},
                   .permissions = permissions};
  } else {
    given.delegation_type = OPEN_DELEGATE_READ;
    given.read = {.stateid = stateid, .recall = recall, .permissions = permissions};
  }
  return given;
}

}  // namespace

nfsstat4 ClaimedDelegation(Compound& c, const OPEN4args& args, const Client& client,
                           DelegationPtr& held) {
  const stateid4& stateid = args.claim.claim == CLAIM_DELEGATE_CUR
                                ? args.claim.delegate_cur_info.delegate_stateid
                                : args.claim.oc_delegate_stateid;
  std::shared_ptr<State> state;
  NFS_TRY(c.FindState(stateid, state, false));
  held = std::dynamic_pointer_cast<DelegationState>(state);
  if (!held || held->client.get() != &client) return NFS4ERR_BAD_STATEID;
  bool writes = (args.share_access & OPEN4_SHARE_ACCESS_WRITE) != 0;
  return writes && !held->write ? NFS4ERR_OPENMODE : NFS4_OK;
}

open_delegation4 Delegate(Compound& c, const OPEN4args& args, const OpenOwner& owner,
                          const OpenState& open, const CurrentFile& file, bool& given) {
  why_no_delegation4 why{};
  given = false;
  if (!MayHave(c, args, owner, file, why)) return None(args, why);
  bool reclaim = args.claim.claim == CLAIM_PREVIOUS;
  bool write = reclaim ? args.claim.delegate_type == OPEN_DELEGATE_WRITE
                       : (args.share_access & OPEN4_SHARE_ACCESS_WRITE) != 0;
  auto state = std::make_shared<DelegationState>(open.client, write);
  HandleBytes handle = HandleOf(c, file);
  state->handle.assign(handle.begin(), handle.end());
  state->granted_by = c.referring();
  if (c.minor == 0) state->granted_to = c.call.peer.address;
  bool kept = c.services.recovery->Record(*open.client, kHeldDelegations).ok() &&
              file.exported->engine->Pin(file.id).ok();
  if (!kept) return None(args, WND4_RESOURCE);
  state->pin = Pin(file.exported->engine, file.id);
  Granted granted =
      c.services.files.Grant(state, KeyOf(file), c.services.clock.Monotonic(), reclaim);
  if (!granted.state) return None(args, granted.why);
  given = true;
  if (write) {
    auto now = file.exported->engine->GetAttributes(c.CallerFor(file), file.id);
    if (now.ok()) granted.state->change = now->change;
  }
  return Given(*state, granted.stateid, reclaim && !open.client->callbacks->Ready());
}

}  // namespace tarn::nfs4::ops
