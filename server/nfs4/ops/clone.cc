// CLONE (RFC 7862 section 15.13): a range shares another's storage, until one of them is written.
#include "server/nfs4/ops/two_files.h"

namespace tarn::nfs4::ops {

nfsstat4 Clone(Compound& c, const CLONE4args& args) {
  vfs::DataPlace source{.file = {}, .opened = false, .offset = args.cl_src_offset};
  vfs::DataPlace target{.file = {}, .opened = false, .offset = args.cl_dst_offset};
  NFS_TRY(CheckTransfer(c, args.cl_src_stateid, args.cl_dst_stateid, source, target));
  return ToStatus(c.engine().Clone(c.caller(), source, target, args.cl_count));
}

}  // namespace tarn::nfs4::ops
