// DEALLOCATE (RFC 7862 section 15.4): a range becomes a hole.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Deallocate(Compound& c, const DEALLOCATE4args& args) {
  NFS_TRY(CheckRegular(c));
  bool opened = false;
  NFS_TRY(c.CheckIo(args.da_stateid, false, true, opened));
  auto punch = [&](bool trusted) {
    return c.engine().Deallocate(c.caller(), c.current.id, trusted, args.da_offset, args.da_length);
  };
  return ToStatus(AllowOwner(c, punch(opened), opened, [&] { return punch(true); }));
}

}  // namespace tarn::nfs4::ops
