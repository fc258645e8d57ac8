// fattr4 in the client's hands: what tests ask for and set (RFC 8881 section 5).
#pragma once

#include <optional>
#include <string>

#include "tests/nfs/client/compound.h"

namespace tarn::nfs_client {

// An attribute is there if the server gave it.
struct Attributes {
  xdr::Bitmap given;
  std::optional<xdr::Bitmap> supported;
  nfs4::nfs_ftype4 type{};
  uint32_t fh_expire_type = 0;
  uint64_t change = 0;
  uint64_t size = 0;
  nfs4::fsid4 fsid;
  uint32_t lease_time = 0;
  nfsstat4 rdattr_error{};
  Fh filehandle;
  uint64_t fileid = 0;
  uint64_t files_avail = 0, files_free = 0, files_total = 0;
  uint64_t maxfilesize = 0, maxread = 0, maxwrite = 0;
  uint32_t maxlink = 0, maxname = 0;
  uint32_t mode = 0;
  uint32_t numlinks = 0;
  std::string owner, owner_group;
  nfs4::specdata4 rawdev;
  nfs4::open_arguments4 open_arguments;
  uint64_t quota_avail_hard = 0, quota_avail_soft = 0, quota_used = 0;
  uint64_t space_avail = 0, space_free = 0, space_total = 0, space_used = 0, space_freed = 0;
  nfs4::nfstime4 time_access, time_create, time_delta, time_metadata, time_modify;
  uint64_t mounted_on_fileid = 0;
};

// False when the bytes are not what the mask says, or an attribute is none of those above (or one
// of the plain booleans and words that are skipped).
bool Parse(const nfs4::fattr4& from, Attributes& attributes);

struct SetAttributes {
  std::optional<uint64_t> size;
  std::optional<uint32_t> mode;
  std::optional<std::string> owner;
  std::optional<std::string> owner_group;
  std::optional<nfs4::settime4> access_time;
  std::optional<nfs4::settime4> modify_time;
  std::optional<nfs4::mode_umask4> mode_umask;  // 4.2
};

// An fattr4 with its own memory.
struct EncodedAttributes {
  explicit EncodedAttributes(const SetAttributes& set);
  nfs4::fattr4 view() const { return {.attrmask = mask, .attr_vals = values}; }
  xdr::Bitmap mask;
  Bytes values;
};

// type, change, size, fsid, fileid, mode, numlinks, owners, space_used, times.
const xdr::Bitmap& UsualAttributes();

}  // namespace tarn::nfs_client
