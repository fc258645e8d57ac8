// File attributes on the wire: fattr4 (RFC 7530 section 5, RFC 8881 section 5).
//
// fsid is {file system number, export number}, so that an access point is a file system of its own
// to clients: they mount it as one when they cross into it, and `df` on it shows its quota. Owners
// are numeric strings (RFC 7530 section 5.9, numeric form), as clients without an id mapper send
// and expect them. Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/nfs4.h"
#include "server/nfs4/exports.h"
#include "server/vfs/types.h"

namespace tarn::nfs4 {

// One READ or WRITE (maxread, maxwrite).
inline constexpr uint64_t kTransferBytesMax = vfs::kIoBytesMax;

// What a file's attributes are made of.
struct AttributeSource {
  const Export& exported;
  const vfs::Attributes& file;
  xdr::Opaque handle;
  uint32_t lease_seconds = 0;
  uint32_t minor = 0;
  const vfs::SpaceInfo* space = nullptr;  // needed if AsksForSpace(wanted)
};

xdr::Bitmap SupportedAttributes(uint32_t minor);
// What OPEN with EXCLUSIVE4_1 can set.
xdr::Bitmap ExclusiveCreateAttributes(uint32_t minor);
// Is one of the wanted attributes set only, never told?
bool AsksForWriteOnly(const xdr::Bitmap& wanted);
// Does one of the wanted attributes come from the realm's space?
bool AsksForSpace(const xdr::Bitmap& wanted);

// Appends the fattr4 of the wanted attributes that are supported.
void EncodeAttributes(xdr::Encoder& to, const xdr::Bitmap& wanted, const AttributeSource& source);
// The fattr4 of a directory entry whose attributes could not be read, if RDATTR_ERROR was asked
// for.
void EncodeAttributeError(xdr::Encoder& to, nfsstat4 why);

// What a client wants to set, of a file that it makes or of one that is there (only the former has
// mode_umask, RFC 8275 section 4). NFS4ERR_ATTRNOTSUPP: not supported; NFS4ERR_INVAL: read-only, or
// a value out of range; NFS4ERR_BADOWNER: no numeric owner; NFS4ERR_BADXDR: the values end early or
// late.
enum class SetBy { kCreation, kSetAttr };
nfsstat4 DecodeAttributeChange(const fattr4& from, uint32_t minor, SetBy by,
                               vfs::AttributeChange& change);

nfs_ftype4 ToWire(vfs::FileType type);

// "1000", "1000@any.domain", "root" and "nobody" (with or without a domain).
std::optional<uint32_t> ParseOwner(std::string_view text);

}  // namespace tarn::nfs4
