#include "server/nfs4/ops/held_attributes.h"

#include "server/nfs4/attributes.h"

namespace tarn::nfs4::ops {
namespace {

// What a holder of a write delegation may have changed without telling.
constexpr xdr::Bitmap kHolders = {FATTR4_CHANGE,      FATTR4_SIZE,          FATTR4_SPACE_USED,
                                  FATTR4_TIME_MODIFY, FATTR4_TIME_METADATA, FATTR4_TIME_ACCESS};

// The write delegation that somebody else holds. 4.0 does not say who asks, so a call from the
// holder's address is taken for the holder's.
std::vector<DelegationPtr> HeldByOthers(Compound& c, const CurrentFile& file) {
  auto held = c.services.files.InTheWay(KeyOf(file), c.client.get(), false);
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
  DelegationState& state = *held.front();
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
  std::lock_guard lock(state.file->mutex);
  state.told = {.change = file.change, .size = file.size};
  return NFS4_OK;
}

}  // namespace

bool HoldersMatter(Compound& c, const xdr::Bitmap& wanted) {
  return c.services.files.write_delegations() > 0 && !(wanted & kHolders).empty();
}

nfsstat4 CurrentAttributes(Compound& c, const xdr::Bitmap& wanted, vfs::Attributes& file) {
  if (!HoldersMatter(c, wanted)) return c.Attributes(file);
  auto held = HeldByOthers(c, c.current);
  return held.empty() ? c.Attributes(file) : AskHolder(c, held, file);
}

vfs::Attributes AsToldBefore(Compound& c, const CurrentFile& file, vfs::Attributes attributes) {
  if (attributes.type != vfs::FileType::kRegular) return attributes;
  for (const DelegationPtr& held : HeldByOthers(c, file)) {
    std::lock_guard lock(held->file->mutex);
    if (held->told.change == attributes.change) attributes.size = held->told.size;
  }
  return attributes;
}

}  // namespace tarn::nfs4::ops
