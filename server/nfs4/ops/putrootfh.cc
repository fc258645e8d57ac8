// PUTROOTFH (RFC 8881 section 18.21), and PUTPUBFH, which is the same here.
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 PutRootFh(Compound& c) {
  std::shared_ptr<const Export> root;
  NFS_TRY(c.RootExport(root));
  NFS_TRY(c.MayEnter(*root));
  vfs::FileId id = root->root;
  c.SetCurrent(std::move(root), id);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
