#include "server/nfs4/ops/files.h"

#include <algorithm>
#include <cstring>

#include "common/ids.h"
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/held_attributes.h"

namespace tarn::nfs4::ops {

HandleBytes HandleOf(Compound& c, const CurrentFile& file) {
  return c.services.handles.Seal({.file_system = file.exported->file_system,
                                  .export_number = file.exported->number,
                                  .file = file.id});
}

verifier4 WriteVerifier(Compound& c) {
  verifier4 verifier;
  uint64_t value = c.engine().WriteVerifier();
  std::memcpy(verifier.data(), &value, sizeof(value));
  return verifier;
}

nfsstat4 CheckDirectory(Compound& c, bool tell_symlink) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  if (file.type == vfs::FileType::kDirectory) return NFS4_OK;
  bool symlink = tell_symlink && file.type == vfs::FileType::kSymlink;
  return symlink ? NFS4ERR_SYMLINK : NFS4ERR_NOTDIR;
}

nfsstat4 CheckRegular(Compound& c) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  return file.type == vfs::FileType::kRegular ? NFS4_OK : NFS4ERR_WRONG_TYPE;
}

nfsstat4 CheckIsRegular(Compound& c, vfs::FileType type) {
  switch (type) {
    case vfs::FileType::kRegular:
      return NFS4_OK;
    case vfs::FileType::kDirectory:
      return NFS4ERR_ISDIR;
    case vfs::FileType::kSymlink:
      return NFS4ERR_SYMLINK;
    default:
      return c.minor >= 1 ? NFS4ERR_WRONG_TYPE : NFS4ERR_SYMLINK;
  }
}

size_t RoomForData(const Compound& c, size_t besides) {
  if (!c.session) return vfs::kIoBytesMax;
  size_t room = c.session->fore.ca_maxresponsesize;
  size_t taken = c.to.size() + besides;
  return std::min(vfs::kIoBytesMax, room > taken ? room - taken : 0);
}

nfsstat4 DataStatus(Compound& c, Code code) {
  vfs::Attributes file;
  if (code != Code::kInvalid || c.minor == 0 || c.Attributes(file) != NFS4_OK) {
    return ToStatus(code);
  }
  NFS_TRY(CheckIsRegular(c, file.type));
  return NFS4ERR_INVAL;
}

nfsstat4 CheckRead(Compound& c, const stateid4& stateid, bool& opened) {
  nfsstat4 status = c.CheckIo(stateid, true, false, opened);
  if (status != NFS4ERR_OPENMODE) return status;
  NFS_TRY(c.CheckIo(stateid, false, true, opened));
  opened = false;
  return c.services.files.Denied(KeyOf(c.current), true, false) ? NFS4ERR_OPENMODE : NFS4_OK;
}

nfsstat4 FindAccessPoint(Compound& c, std::string_view name,
                         std::shared_ptr<const Export>& entered) {
  const Export& here = c.exported();
  bool may_be = here.number == 0 && c.current.id == here.root && IsId(kAccessPointPrefix, name);
  if (!may_be) return NFS4_OK;
  c.call.AboutToWait();  // its first use makes its root directory
  auto found = c.services.exports.EnterFor(c.call.peer, here, name);
  if (found.code() == Code::kNotFound) return NFS4_OK;
  if (!found.ok()) return ToStatus(found);
  entered = *std::move(found);
  return NFS4_OK;
}

nfsstat4 CheckNotAccessPoint(Compound& c, std::string_view name) {
  std::shared_ptr<const Export> entered;
  NFS_TRY(FindAccessPoint(c, name, entered));
  return entered ? NFS4ERR_EXIST : NFS4_OK;
}

nfsstat4 PutAttributes(Compound& c, xdr::Encoder& to, const xdr::Bitmap& wanted,
                       const CurrentFile& file, const vfs::Attributes& attributes,
                       std::optional<vfs::SpaceInfo>& space) {
  if (AsksForSpace(wanted) && !space) {
    auto found = file.exported->engine->GetSpace(file.exported->realm);
    if (!found.ok()) return ToStatus(found);
    space = *found;
  }
  HandleBytes handle{};
  if (wanted.Has(FATTR4_FILEHANDLE)) handle = HandleOf(c, file);
  AttributeSource source{.exported = *file.exported,
                         .file = attributes,
                         .handle = handle,
                         .lease_seconds = static_cast<uint32_t>(c.services.options.lease.count()),
                         .minor = c.minor,
                         .space = space ? &*space : nullptr};
  EncodeAttributes(to, wanted, source);
  return NFS4_OK;
}

nfsstat4 CompareAttributes(Compound& c, const fattr4& given) {
  if (!given.attrmask.In(SupportedAttributes(c.minor))) return NFS4ERR_ATTRNOTSUPP;
  const auto& mask = given.attrmask;
  if (mask.Has(FATTR4_RDATTR_ERROR) || AsksForWriteOnly(mask)) return NFS4ERR_INVAL;
  vfs::Attributes file;
  NFS_TRY(CurrentAttributes(c, mask, file));
  xdr::Encoder own;
  std::optional<vfs::SpaceInfo> space;
  NFS_TRY(PutAttributes(c, own, mask, c.current, file, space));
  xdr::Encoder theirs;
  Encode(theirs, given);
  auto a = own.Flatten();
  auto b = theirs.Flatten();
  return a == b ? NFS4ERR_SAME : NFS4ERR_NOT_SAME;
}

}  // namespace tarn::nfs4::ops
