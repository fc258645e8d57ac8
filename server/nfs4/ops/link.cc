// LINK (RFC 8881 section 18.9): the saved file gets a name in the current directory.
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Link(Compound& c, const LINK4args& args) {
  if (!c.saved) return NFS4ERR_NOFILEHANDLE;
  NFS_TRY(CheckDirectory(c));
  NFS_TRY(CheckComponent(args.newname));
  bool together = c.saved.exported->file_system == c.exported().file_system &&
                  c.saved.exported->number == c.exported().number;
  if (!together) return NFS4ERR_XDEV;
  NFS_TRY(CheckNotAccessPoint(c, args.newname));
  NFS_TRY(c.BeginChange(c.saved));
  auto linked = c.engine().Link(c.caller(), c.saved.id, c.current.id, args.newname);
  if (!linked.ok()) return ToStatus(linked);
  Encode(c.to, LINK4resok{.cinfo = ToWire(*linked)});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
