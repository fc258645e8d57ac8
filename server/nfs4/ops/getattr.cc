// GETATTR (RFC 8881 section 18.7).
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/held_attributes.h"

namespace tarn::nfs4::ops {

nfsstat4 GetAttr(Compound& c, const GETATTR4args& args) {
  const auto& wanted = args.attr_request;
  if (AsksForWriteOnly(wanted & SupportedAttributes(c.minor))) return NFS4ERR_INVAL;
  vfs::Attributes file;
  NFS_TRY(CurrentAttributes(c, wanted, file));
  std::optional<vfs::SpaceInfo> space;
  return PutAttributes(c, c.to, wanted, c.current, file, space);
}

}  // namespace tarn::nfs4::ops
