// COPY and CLONE: from the saved file into the current one.
#pragma once

#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

// May data go from the saved file to the current one with these stateids? Fills in `opened` of
// both. NFS4ERR_WRONG_TYPE: one is no regular file; NFS4ERR_XDEV: they are of two exports.
nfsstat4 CheckTransfer(Compound& c, const stateid4& source_state, const stateid4& target_state,
                       vfs::DataPlace& source, vfs::DataPlace& target);

}  // namespace tarn::nfs4::ops
