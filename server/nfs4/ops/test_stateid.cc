// TEST_STATEID (RFC 8881 section 18.48).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 TestStateid(Compound& c, const TEST_STATEID4args& args) {
  c.to.Put(static_cast<uint32_t>(args.ts_stateids.size()));
  for (const stateid4& stateid : args.ts_stateids) {
    std::shared_ptr<State> state;
    bool special = SpecialOf(stateid) != SpecialStateid::kNone;
    c.to.Put(
        static_cast<uint32_t>(special ? NFS4ERR_BAD_STATEID : c.FindState(stateid, state, false)));
  }
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
