// What the operations on extended attributes share (RFC 8276).
#pragma once

#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

// NFS4ERR_WRONG_TYPE unless the current file may have extended attributes.
nfsstat4 CheckHasXattrs(Compound& c);
// NFS4ERR_INVAL: empty; NFS4ERR_NAMETOOLONG; NFS4ERR_BADCHAR: a NUL.
nfsstat4 CheckXattrKey(std::string_view key);

}  // namespace tarn::nfs4::ops
