#include "server/nfs4/ops/xattrs.h"

namespace tarn::nfs4::ops {

nfsstat4 CheckHasXattrs(Compound& c) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  bool may = file.type == vfs::FileType::kRegular || file.type == vfs::FileType::kDirectory;
  return may ? NFS4_OK : NFS4ERR_WRONG_TYPE;
}

nfsstat4 CheckXattrKey(std::string_view key) {
  if (key.empty()) return NFS4ERR_INVAL;
  if (key.size() > vfs::kXattrNameBytesMax) return NFS4ERR_NAMETOOLONG;
  return key.find('\0') == std::string_view::npos ? NFS4_OK : NFS4ERR_BADCHAR;
}

}  // namespace tarn::nfs4::ops
