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
  bool holds = state->kind == State::Kind::kLock &&
               c.services.files.HoldsRanges(static_cast<LockState&>(*state));
  if (holds) return NFS4ERR_LOCKS_HELD;
  c.services.files.Close(state, c.services.clock.Monotonic());
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
