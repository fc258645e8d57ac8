// RENAME (RFC 8881 section 18.26): from the saved directory into the current one.
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 Rename(Compound& c, const RENAME4args& args) {
  if (!c.saved) return NFS4ERR_NOFILEHANDLE;
  NFS_TRY(CheckDirectory(c));
  NFS_TRY(CheckComponent(args.oldname));
  NFS_TRY(CheckComponent(args.newname));
  bool together = c.saved.exported->file_system == c.exported().file_system &&
                  c.saved.exported->number == c.exported().number;
  if (!together) return NFS4ERR_XDEV;
  NFS_TRY(CheckNotAccessPoint(c, args.newname));
  NFS_TRY(c.BeginChange(c.saved, args.oldname));
  NFS_TRY(c.BeginChange(c.current, args.newname));
  auto renamed =
      c.engine().Rename(c.caller(), c.saved.id, args.oldname, c.current.id, args.newname);
  if (renamed.code() == Code::kIsDirectory || renamed.code() == Code::kNotDirectory) {
    // A directory over a file and the reverse (RFC 8881 section 18.26.3): NFS4ERR_EXIST.
    auto is_directory = c.engine().GetAttributes(c.caller(), c.saved.id);
    bool parents_fine = is_directory.ok() && is_directory->type == vfs::FileType::kDirectory;
    return parents_fine ? NFS4ERR_EXIST : ToStatus(renamed);
  }
  if (!renamed.ok()) return ToStatus(renamed);
  Encode(c.to, RENAME4resok{.source_cinfo = ToWire(renamed->source),
                            .target_cinfo = ToWire(renamed->target)});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
