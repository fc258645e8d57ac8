// GETATTR (RFC 8881 section 18.7).
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 GetAttr(Compound& c, const GETATTR4args& args) {
  const auto& wanted = args.attr_request;
  bool write_only = wanted.Has(FATTR4_TIME_ACCESS_SET) || wanted.Has(FATTR4_TIME_MODIFY_SET);
  if (write_only) return NFS4ERR_INVAL;
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  std::optional<vfs::SpaceInfo> space;
  return PutAttributes(c, c.to, wanted, c.current, file, space);
}

}  // namespace tarn::nfs4::ops
