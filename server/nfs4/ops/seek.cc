// SEEK (RFC 7862 section 15.11): where the next data or hole begins.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Seek(Compound& c, const SEEK4args& args) {
  bool known = args.sa_what == NFS4_CONTENT_DATA || args.sa_what == NFS4_CONTENT_HOLE;
  if (!known) return NFS4ERR_UNION_NOTSUPP;
  NFS_TRY(CheckRegular(c));
  bool opened = false;
  NFS_TRY(c.CheckIo(args.sa_stateid, true, false, opened));
  bool data = args.sa_what == NFS4_CONTENT_DATA;
  auto seek = [&](bool trusted) {
    return c.engine().Seek(c.caller(), c.current.id, trusted, args.sa_offset,
                           data ? vfs::ExtentKind::kData : vfs::ExtentKind::kHole);
  };
  auto found = AllowOwner(c, seek(opened), opened, [&] { return seek(true); });
  if (found.code() == Code::kRange) return NFS4ERR_NXIO;
  if (!found.ok()) return ToStatus(found);
  Encode(c.to, seek_res4{.sr_eof = found->end_of_file, .sr_offset = found->offset});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
