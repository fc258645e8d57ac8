// CREATE (RFC 8881 section 18.4): everything but regular files.
//
// A device node is an ordinary file with a number here: it opens a device of the client's machine,
// never one of the server's. Only root may make one.
#include "server/nfs4/attributes.h"
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 TypeOf(const createtype4& wanted, vfs::CreateOptions& options) {
  switch (wanted.type) {
    case NF4DIR:
      options.type = vfs::FileType::kDirectory;
      return NFS4_OK;
    case NF4FIFO:
      options.type = vfs::FileType::kFifo;
      return NFS4_OK;
    case NF4SOCK:
      options.type = vfs::FileType::kSocket;
      return NFS4_OK;
    case NF4LNK:
      options.type = vfs::FileType::kSymlink;
      options.symlink_target = wanted.linkdata;
      if (wanted.linkdata.empty()) return NFS4ERR_INVAL;
      return wanted.linkdata.size() <= vfs::kSymlinkBytesMax ? NFS4_OK : NFS4ERR_NAMETOOLONG;
    case NF4BLK:
    case NF4CHR:
      options.type =
          wanted.type == NF4BLK ? vfs::FileType::kBlockDevice : vfs::FileType::kCharacterDevice;
      options.device = {wanted.devdata.specdata1, wanted.devdata.specdata2};
      return NFS4_OK;
    default:
      return NFS4ERR_BADTYPE;
  }
}

}  // namespace

nfsstat4 Create(Compound& c, const CREATE4args& args) {
  vfs::CreateOptions options;
  NFS_TRY(CheckDirectory(c));
  NFS_TRY(CheckComponent(args.objname));
  NFS_TRY(TypeOf(args.objtype, options));
  NFS_TRY(DecodeAttributeChange(args.createattrs, c.minor, SetBy::kCreation, options.attributes));
  if (options.attributes.size) return NFS4ERR_INVAL;
  NFS_TRY(CheckNotAccessPoint(c, args.objname));
  auto made = c.engine().Create(c.caller(), c.current.id, args.objname, options);
  if (!made.ok()) return ToStatus(made);
  c.SetCurrent(c.current.exported, made->attributes.id);
  c.fresh = made->attributes;
  Encode(c.to,
         CREATE4resok{.cinfo = ToWire(made->directory), .attrset = args.createattrs.attrmask});
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
