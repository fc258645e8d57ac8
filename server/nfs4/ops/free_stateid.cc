// FREE_STATEID (RFC 8881 section 18.38): gives up a lock state that holds no lock.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 FreeStateid(Compound& c, const FREE_STATEID4args& args) {
  std::shared_ptr<State> state;
  NFS_TRY(c.FindState(args.fsa_stateid, state, false));
  if (state->kind == State::Kind::kOpen) return NFS4ERR_LOCKS_HELD;
  if (c.services.files.HoldsRanges(static_cast<LockState&>(*state))) return NFS4ERR_LOCKS_HELD;
  c.services.files.Close(state, c.services.clock.Monotonic());
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
