// SETXATTR (RFC 8276 section 8.4.2).
#include "server/nfs4/ops/state_ops.h"
#include "server/nfs4/ops/xattrs.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 ModeOf(setxattr_option4 option, vfs::XattrMode& mode) {
  switch (option) {
    case SETXATTR4_EITHER:
      mode = vfs::XattrMode::kEither;
      return NFS4_OK;
    case SETXATTR4_CREATE:
      mode = vfs::XattrMode::kCreate;
      return NFS4_OK;
    case SETXATTR4_REPLACE:
      mode = vfs::XattrMode::kReplace;
      return NFS4_OK;
  }
  return NFS4ERR_INVAL;
}

}  // namespace

nfsstat4 SetXattr(Compound& c, const SETXATTR4args& args) {
  vfs::XattrMode mode{};
  NFS_TRY(ModeOf(args.sxa_option, mode));
  NFS_TRY(CheckHasXattrs(c));
  NFS_TRY(CheckXattrKey(args.sxa_key));
  NFS_TRY(c.BeginChange(c.current));
  auto set =
      c.engine().SetXattr(c.caller(), c.current.id, args.sxa_key, Text(args.sxa_value), mode);
  if (set.code() == Code::kRange) return NFS4ERR_XATTR2BIG;
  if (!set.ok()) return ToStatus(set);
  Encode(c.to, ToWire(*set));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
