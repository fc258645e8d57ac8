// ALLOCATE (RFC 7862 section 15.1): room for a range, so that later writes into it find it.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Allocate(Compound& c, const ALLOCATE4args& args) {
  NFS_TRY(CheckRegular(c));
  bool opened = false;
  NFS_TRY(c.CheckIo(args.aa_stateid, false, true, opened));
  auto allocate = [&](bool trusted) {
    return c.engine().Allocate(c.caller(), c.current.id, trusted, args.aa_offset, args.aa_length);
  };
  return ToStatus(AllowOwner(c, allocate(opened), opened, [&] { return allocate(true); }));
}

}  // namespace tarn::nfs4::ops
