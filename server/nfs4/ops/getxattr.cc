// GETXATTR (RFC 8276 section 8.4.1).
#include "server/nfs4/ops/state_ops.h"
#include "server/nfs4/ops/xattrs.h"

namespace tarn::nfs4::ops {

nfsstat4 GetXattr(Compound& c, const GETXATTR4args& args) {
  NFS_TRY(CheckHasXattrs(c));
  NFS_TRY(CheckXattrKey(args.gxa_name));
  NFS_TRY(c.RecallWrites());
  auto value = c.engine().GetXattr(c.caller(), c.current.id, args.gxa_name);
  if (!value.ok()) return ToStatus(value);
  // Larger ones are referenced until the reply is sent, so the encoder owns them.
  std::unique_ptr<std::byte[]> memory(new std::byte[value->size()]);
  std::memcpy(memory.get(), value->data(), value->size());
  c.to.PutOpaque({memory.get(), value->size()});
  c.to.Hold(std::move(memory));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
