// LOOKUP (RFC 8881 section 18.13), which also enters access points.
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Lookup(Compound& c, const LOOKUP4args& args) {
  NFS_TRY(CheckComponent(args.objname));
  std::shared_ptr<const Export> entered;
  NFS_TRY(FindAccessPoint(c, args.objname, entered));
  if (entered) {
    NFS_TRY(c.MayEnter(*entered));
    vfs::FileId root = entered->root;
    c.SetCurrent(std::move(entered), root);
    return NFS4_OK;
  }
  if (!c.RightsTo(c.exported()).mount) return NFS4ERR_ACCESS;
  auto found = c.engine().Lookup(c.caller(), c.current.id, args.objname);
  if (!found.ok()) {
    // Symlinks have an error of their own, so that a client that walks a path can follow them.
    return found.code() == Code::kNotDirectory ? CheckDirectory(c, true) : ToStatus(found);
  }
  c.SetCurrent(c.current.exported, found->id);
  c.fresh = *std::move(found);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
