// COMMIT (RFC 8881 section 18.3).
#include <cstring>

#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Commit(Compound& c, const COMMIT4args& args) {
  if (args.count != 0 && args.offset > UINT64_MAX - args.count) return NFS4ERR_INVAL;
  auto committed = c.engine().Commit(c.caller(), c.current.id, args.offset, args.count);
  if (!committed.ok()) return DataStatus(c, committed.code());
  // Taken last: if the engine has lost unstable writes by then, the client learns of it.
  COMMIT4resok ok{.writeverf = WriteVerifier(c)};
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
