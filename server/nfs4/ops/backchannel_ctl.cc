// BACKCHANNEL_CTL (RFC 8881 section 18.33): accepted; the back channel is not used.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 BackchannelCtl(Compound&, const BACKCHANNEL_CTL4args&) {
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
