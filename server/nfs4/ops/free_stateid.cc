// FREE_STATEID (RFC 8881 section 18.38): gives up a lock state that holds no lock, or acknowledges
// that a delegation was revoked.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 FreeStateid(Compound& c, const FREE_STATEID4args& args) {
  std::shared_ptr<State> state;
  nfsstat4 status = c.FindState(args.fsa_stateid, state, false);
  if (status != NFS4ERR_DELEG_REVOKED) {
    NFS_TRY(status);
    if (state->kind != State::Kind::kLock) return NFS4ERR_LOCKS_HELD;
  }
  // Linux sends this behind the back of a lock owner's successor, who may have the same name and
  // lock at the same time.
  auto may = [&]() -> nfsstat4 {
    if (state->kind != State::Kind::kLock) return NFS4_OK;
    NFS_TRY(CheckStillNamed(c, *state, args.fsa_stateid));
    bool holds = FileTable::HoldsRanges(static_cast<const LockState&>(*state));
    return holds ? NFS4ERR_LOCKS_HELD : NFS4_OK;
  };
  return c.services.files.CloseIf(may, state, c.services.clock.Monotonic());
}

}  // namespace tarn::nfs4::ops
