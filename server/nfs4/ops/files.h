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

// NFS4ERR_WRONG_TYPE unless the current file is a regular one.
nfsstat4 CheckRegular(Compound& c);

// Only regular files can be opened and read; each other type has its error.
nfsstat4 CheckIsRegular(Compound& c, vfs::FileType type);

// CheckIo of a READ or READ_PLUS. A client that opened for writing only may read what it needs to
// write whole pages, if the mode bits let it and nobody denies it (RFC 7530 section 9.1.6, RFC 8881
// section 9.1.2).
nfsstat4 CheckRead(Compound& c, const stateid4& stateid, bool& opened);

// The bytes of data that still fit into the session's reply, of at most vfs::kIoBytesMax;
// `besides`: what the result takes besides the data.
size_t RoomForData(const Compound& c, size_t besides);

// What READ, WRITE and COMMIT answer when the engine refused: what is no regular file has an error
// for each type (RFC 8881 section 18.22.3; in RFC 7530 section 16.23.4 they are all NFS4ERR_INVAL).
nfsstat4 DataStatus(Compound& c, Code code);

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

// I/O by an anonymous stateid is of a client that keeps no open here; POSIX checked its rights when
// its program opened the file, maybe before a chmod, or by making the file with mode 0444. So, as
// other servers do, what was denied by mode bits is done again as opened when the caller owns the
// file, who could give itself the right anyway. `again` does it; the file is pinned meanwhile.
template <typename R, typename Again>
R AllowOwner(Compound& c, R denied, bool opened, Again again) {
  if (opened || denied.code() != Code::kAccess) return denied;
  auto attributes = c.engine().GetAttributes(c.caller(), c.current.id);
  if (!attributes.ok() || attributes->uid != c.caller().uid) return denied;
  if (!c.engine().Pin(c.current.id).ok()) return denied;
  R result = again();
  c.engine().Unpin(c.current.id);
  return result;
}

}  // namespace tarn::nfs4::ops
