// PUTFH (RFC 8881 section 18.19). Whether the file still exists shows at the next operation.
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 PutFh(Compound& c, const PUTFH4args& args) {
  auto fields = c.services.handles.Open(args.object);
  if (!fields) return NFS4ERR_BADHANDLE;
  std::shared_ptr<const Export> root;
  NFS_TRY(c.RootExport(root));
  // A handle of another mount target's file system is none here.
  if (root->file_system != fields->file_system) return NFS4ERR_STALE;
  if (fields->export_number == root->number) {
    c.SetCurrent(std::move(root), fields->file);
    return NFS4_OK;
  }
  auto found = c.services.exports.Find(fields->file_system, fields->export_number);
  if (!found.ok()) return found.code() == Code::kNotFound ? NFS4ERR_STALE : ToStatus(found);
  c.SetCurrent(*std::move(found), fields->file);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
