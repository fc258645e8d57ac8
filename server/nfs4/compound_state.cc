// How operations find the state that a stateid names, and the turns of 4.0 owners.
#include "server/nfs4/compound.h"

namespace tarn::nfs4 {
namespace {

// Errors after which an owner's seqid does not move on (RFC 7530 section 9.1.7).
bool KeepsSeqid(nfsstat4 status) {
  switch (status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_BADXDR:
    case NFS4ERR_RESOURCE:
    case NFS4ERR_NOFILEHANDLE:
    case NFS4ERR_MOVED:
      return true;
    default:
      return false;
  }
}

}  // namespace

nfsstat4 Compound::FindNamed(const stateid4& stateid, std::shared_ptr<State>& state) {
  if (SpecialOf(stateid) != SpecialStateid::kNone) return NFS4ERR_BAD_STATEID;
  StateName name = NameOf(stateid);
  if (minor >= 1) {
    if (!client || name.client != client->id) return NFS4ERR_BAD_STATEID;
    state = client->Find(name.state);
    if (state) return NFS4_OK;
    uint32_t run = FirstState(services.recovery->epoch()) >> kStateNumberBits;
    bool of_this_run = name.state >> kStateNumberBits == run;
    return client->restored && !of_this_run ? NFS4ERR_STALE_STATEID : NFS4ERR_BAD_STATEID;
  }
  if (EpochOf(name.client) != services.recovery->epoch()) return NFS4ERR_STALE_STATEID;
  std::shared_ptr<Client> owner = services.clients.Find(name.client, identity());
  if (!owner) return NFS4ERR_EXPIRED;
  if (owner->sessions_used) return NFS4ERR_BAD_STATEID;
  state = owner->Find(name.state);
  if (!state) return NFS4ERR_BAD_STATEID;
  services.clients.Renew(*owner);
  return NFS4_OK;
}

// With the file's lock held.
nfsstat4 Compound::CheckSeqid(const State& state, uint32_t seqid) const {
  if (state.closed) return NFS4ERR_BAD_STATEID;
  bool revoked =
      state.kind == State::Kind::kDelegation && static_cast<const DelegationState&>(state).revoked;
  if (revoked) return NFS4ERR_DELEG_REVOKED;
  if (minor >= 1 && seqid == 0) return NFS4_OK;
  if (seqid == state.seqid) return NFS4_OK;
  // Serial number arithmetic, since sequences wrap.
  return static_cast<int32_t>(seqid - state.seqid) < 0 ? NFS4ERR_OLD_STATEID : NFS4ERR_BAD_STATEID;
}

nfsstat4 Compound::FindState(const stateid4& stateid, std::shared_ptr<State>& state,
                             bool same_file) {
  stateid4 wanted = stateid;
  if (minor >= 1 && SpecialOf(stateid) == SpecialStateid::kCurrent) {
    if (!current_stateid) return NFS4ERR_BAD_STATEID;
    wanted = *current_stateid;
  }
  NFS_TRY(FindNamed(wanted, state));
  if (same_file && state->file->key != KeyOf(current)) return NFS4ERR_BAD_STATEID;
  std::lock_guard lock(state->file->mutex);
  return CheckSeqid(*state, wanted.seqid);
}

nfsstat4 Compound::CheckIo(const stateid4& stateid, bool read, bool write, bool& opened) {
  SpecialStateid special = SpecialOf(stateid);
  opened = false;
  if (special == SpecialStateid::kAnonymous || special == SpecialStateid::kBypass) {
    NFS_TRY(write ? BeginChange(current) : RecallWrites());
    if (special == SpecialStateid::kBypass && !write) return NFS4_OK;
    return services.files.Denied(KeyOf(current), read, write) ? NFS4ERR_LOCKED : NFS4_OK;
  }
  std::shared_ptr<State> state;
  NFS_TRY(FindState(stateid, state));
  if (state->kind == State::Kind::kDelegation) {
    bool for_write = static_cast<const DelegationState&>(*state).write;
    // Whoever of the client's users comes by it has the rights of the mode bits.
    return write && !for_write ? NFS4ERR_OPENMODE : NFS4_OK;
  }
  std::lock_guard lock(state->file->mutex);
  const auto* open = state->kind == State::Kind::kOpen
                         ? static_cast<const OpenState*>(state.get())
                         : static_cast<const LockState*>(state.get())->open.get();
  if (minor == 0 && !open->owner->confirmed) return NFS4ERR_BAD_STATEID;
  uint32_t needed = (read ? OPEN4_SHARE_ACCESS_READ : 0U) | (write ? OPEN4_SHARE_ACCESS_WRITE : 0U);
  if ((needed & ~open->access) != 0) return NFS4ERR_OPENMODE;
  // A stateid is no secret: others who know it have the rights of the mode bits.
  opened = open->uid == caller().uid && (needed & ~open->uid_access) == 0;
  return NFS4_OK;
}

nfsstat4 Compound::BeginChange(const CurrentFile& file, const Client* by) {
  // Where none is held and none can be given, nothing needs to be kept clear.
  if (!file.exported->delegations && services.files.delegations() == 0) return NFS4_OK;
  changes_.emplace_back(services.delegations, KeyOf(file), by != nullptr ? by : client.get());
  return changes_.back().status;
}

nfsstat4 Compound::BeginChange(const CurrentFile& directory, std::string_view name) {
  if (!directory.exported->delegations && services.files.delegations() == 0) return NFS4_OK;
  auto found = directory.exported->engine->Lookup(CallerFor(directory), directory.id, name);
  if (!found.ok() || found->type != vfs::FileType::kRegular) return NFS4_OK;
  return BeginChange({directory.exported, found->id});
}

nfsstat4 Compound::RecallWrites(const Client* by) {
  if (services.files.write_delegations() == 0) return NFS4_OK;
  return services.delegations.Clear(KeyOf(current), by != nullptr ? by : client.get(), false);
}

nfsstat4 Compound::InTurn(Sequence& sequence, uint32_t seqid,
                          const std::function<nfsstat4()>& operation) {
  if (minor >= 1) return operation();
  sequence.used = services.clock.Monotonic();
  if (sequence.started && seqid == sequence.last) {
    to.PutRaw(sequence.reply);
    keep_body = sequence.has_body;
    if (auto opened = sequence.opened_export.lock()) SetCurrent(opened, sequence.opened);
    return sequence.status;
  }
  if (sequence.started && seqid != sequence.last + 1) return NFS4ERR_BAD_SEQID;
  xdr::Encoder::Mark body_at = to.mark();
  CurrentFile before = current;
  nfsstat4 status = operation();
  if (KeepsSeqid(status)) return status;
  sequence.started = true;
  sequence.last = seqid;
  sequence.status = status;
  sequence.has_body = status == NFS4_OK || keep_body;
  sequence.reply = sequence.has_body ? to.Flatten(body_at) : std::vector<std::byte>();
  bool moved = current.exported != before.exported || current.id != before.id;
  sequence.opened_export.reset();
  if (status == NFS4_OK && moved) {
    sequence.opened_export = current.exported;
    sequence.opened = current.id;
  }
  return status;
}

}  // namespace tarn::nfs4
