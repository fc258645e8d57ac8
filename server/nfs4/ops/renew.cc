// RENEW (RFC 7530 section 16.28), 4.0 only.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 Renew(Compound& c, const RENEW4args& args) {
  std::shared_ptr<Client> client;
  return ClientOf(c, args.clientid, client);
}

}  // namespace tarn::nfs4::ops
