// GETATTR (RFC 8881 section 18.7).
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

// What a holder of a write delegation may have changed without telling.
constexpr xdr::Bitmap kHolders = {FATTR4_CHANGE,      FATTR4_SIZE,          FATTR4_SPACE_USED,
                                  FATTR4_TIME_MODIFY, FATTR4_TIME_METADATA, FATTR4_TIME_ACCESS};

// The write delegation that somebody else holds. 4.0 does not say who asks, so a call from the
// holder's address is taken for the holder's.
std::vector<DelegationPtr> HeldByOthers(Compound& c) {
  if (c.services.files.write_delegations() == 0) return {};
  auto held = c.services.files.InTheWay(KeyOf(c.current), c.client.get(), false);
  if (c.minor == 0) {
    std::erase_if(held, [&](const auto& one) { return one->granted_to == c.call.peer.address; });
  }
  return held;
}

bool IsRecalled(const DelegationState& state) {
  std::lock_guard lock(state.file->mutex);
  return state.recalled;
}

// What the holder has changed counts as changed now, and again each time somebody asks, so that the
// change attribute is new to them, and older than what comes when the holder writes (RFC 8881
// section 10.4.3).
nfsstat4 CountChange(Compound& c, vfs::Attributes& file) {
  vfs::Caller holder = c.caller();
  holder.uid = 0;
  holder.read_only = false;
  holder.replay.reset();
  vfs::AttributeChange change;
  change.modify_time_now = true;
  auto changed = c.engine().SetAttributes(holder, c.current.id, change);
  if (changed.ok()) file = *changed;
  return ToStatus(changed);
}

// The attributes as the holder sees them. If it does not say, the delegation is taken back first.
nfsstat4 AskHolder(Compound& c, const std::vector<DelegationPtr>& held, vfs::Attributes& file) {
  const DelegationState& state = *held.front();
  uint64_t given = state.change;
  c.call.AboutToWait();
  std::optional<Delegations::HolderAttributes> told;
  if (given != 0 && !IsRecalled(state)) told = c.services.delegations.Ask(state);
  c.fresh.reset();
  if (!told) NFS_TRY(c.services.delegations.Recall(held));
  NFS_TRY(c.Attributes(file));
  if (!told || (told->change == given && told->size == file.size)) return NFS4_OK;
  if (CountChange(c, file) != NFS4_OK) return c.services.delegations.Recall(held);
  file.size = told->size;
  return NFS4_OK;
}

}  // namespace

nfsstat4 GetAttr(Compound& c, const GETATTR4args& args) {
  const auto& wanted = args.attr_request;
  if (AsksForWriteOnly(wanted & SupportedAttributes(c.minor))) return NFS4ERR_INVAL;
  vfs::Attributes file;
  auto held = HeldByOthers(c);
  if (held.empty() || (wanted & kHolders).empty()) {
    NFS_TRY(c.Attributes(file));
  } else {
    NFS_TRY(AskHolder(c, held, file));
  }
  std::optional<vfs::SpaceInfo> space;
  return PutAttributes(c, c.to, wanted, c.current, file, space);
}

}  // namespace tarn::nfs4::ops
