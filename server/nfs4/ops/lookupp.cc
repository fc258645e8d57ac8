// LOOKUPP (RFC 8881 section 18.14). Nothing leads out of an access point.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 LookupP(Compound& c) {
  if (c.current.id == c.exported().root) return NFS4ERR_NOENT;
  auto found = c.engine().LookupParent(c.caller(), c.current.id);
  if (!found.ok()) {
    return found.code() == Code::kNotDirectory ? CheckDirectory(c, true) : ToStatus(found);
  }
  c.SetCurrent(c.current.exported, found->id);
  c.fresh = *std::move(found);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
