// What several operations on files and names share.
#pragma once

#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

inline change_info4 ToWire(const vfs::DirectoryChange& change) {
  return {.atomic = true, .before = change.before, .after = change.after};
}

HandleBytes HandleOf(Compound& c, const CurrentFile& file);
verifier4 WriteVerifier(Compound& c);

// NFS4ERR_NOTDIR unless the current file is a directory (NFS4ERR_SYMLINK for a symlink where
// `tell_symlink`).
nfsstat4 CheckDirectory(Compound& c, bool tell_symlink = false);

// Does the name, in the current directory, lead into an access point? Sets `entered` if so.
// NFS4_OK also if not.
nfsstat4 FindAccessPoint(Compound& c, std::string_view name,
                         std::shared_ptr<const Export>& entered);
// NFS4ERR_EXIST for a name in the current directory that is an access point's: it cannot be made,
// removed or renamed.
nfsstat4 CheckNotAccessPoint(Compound& c, std::string_view name);

// Appends the fattr4 of a file for GETATTR and READDIR. `space` is read once and kept for more
// files of one export.
nfsstat4 PutAttributes(Compound& c, xdr::Encoder& to, const xdr::Bitmap& wanted,
                       const CurrentFile& file, const vfs::Attributes& attributes,
                       std::optional<vfs::SpaceInfo>& space);

// VERIFY and NVERIFY: are the attributes as given? NFS4ERR_SAME or NFS4ERR_NOT_SAME, or another
// error.
nfsstat4 CompareAttributes(Compound& c, const fattr4& given);

}  // namespace tarn::nfs4::ops
