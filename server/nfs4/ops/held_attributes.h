// Attributes of a file that somebody else holds a write delegation of: the holder may have changed
// some without having told (RFC 8881 section 10.4.3).
#pragma once

#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

// The attributes of the current file, as its holder sees them if `wanted` has one that a holder may
// change: it is asked (CB_GETATTR). NFS4ERR_DELAY: it did not say, and the delegation is recalled.
nfsstat4 CurrentAttributes(Compound& c, const xdr::Bitmap& wanted, vfs::Attributes& file);

// For READDIR, which asks nobody, so that a listing does not wait for each of its entries: what the
// holder said last, unless the file has changed since. A listing is then never older than a
// GETATTR before it.
bool HoldersMatter(Compound& c, const xdr::Bitmap& wanted);
vfs::Attributes AsToldBefore(Compound& c, const CurrentFile& file, vfs::Attributes attributes);

}  // namespace tarn::nfs4::ops
