#include "server/nfs4/ops/open_file.h"

#include <cstring>

#include "server/nfs4/attributes.h"
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

uint64_t ToVerifier(const verifier4& bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

// The size is set when the file is open: an existing one must not be cut before its share
// reservations allow it.
nfsstat4 TakeSize(vfs::CreateOptions& options, OpenedFile& file) {
  if (options.attributes.size > vfs::kFileBytesMax) return NFS4ERR_FBIG;
  file.resize = options.attributes.size;
  options.attributes.size.reset();
  return NFS4_OK;
}

nfsstat4 CreateOptionsOf(Compound& c, const createhow4& how, vfs::CreateOptions& options,
                         OpenedFile& file) {
  options.type = vfs::FileType::kRegular;
  switch (how.mode) {
    case UNCHECKED4:
    case GUARDED4:
      options.mode =
          how.mode == UNCHECKED4 ? vfs::CreateMode::kUnchecked : vfs::CreateMode::kGuarded;
      file.set = how.createattrs.attrmask;
      NFS_TRY(
          DecodeAttributeChange(how.createattrs, c.minor, SetBy::kCreation, options.attributes));
      return TakeSize(options, file);
    case EXCLUSIVE4:
      options.mode = vfs::CreateMode::kExclusive;
      options.verifier = ToVerifier(how.createverf);
      return NFS4_OK;
    case EXCLUSIVE4_1:
      if (c.minor == 0) return NFS4ERR_BADXDR;
      options.mode = vfs::CreateMode::kExclusive;
      options.verifier = ToVerifier(how.ch_createboth.cva_verf);
      file.set = how.ch_createboth.cva_attrs.attrmask;
      if (!file.set.In(ExclusiveCreateAttributes(c.minor))) return NFS4ERR_INVAL;
      NFS_TRY(DecodeAttributeChange(how.ch_createboth.cva_attrs, c.minor, SetBy::kCreation,
                                    options.attributes));
      return TakeSize(options, file);
    default:
      return NFS4ERR_BADXDR;
  }
}

// Checks the caller's rights by mode bits, and pins.
nfsstat4 OpenExisting(Compound& c, const OPEN4args& args, OpenedFile& file) {
  NFS_TRY(CheckIsRegular(c, file.attributes.type));
  bool read = (args.share_access & OPEN4_SHARE_ACCESS_READ) != 0;
  bool write = (args.share_access & OPEN4_SHARE_ACCESS_WRITE) != 0 || file.resize.has_value();
  auto opened = c.engine().Open(c.caller(), file.file.id, read, write);
  if (!opened.ok()) return ToStatus(opened);
  file.pin = Pin(&c.engine(), file.file.id);
  file.attributes = *opened;
  return NFS4_OK;
}

nfsstat4 PinOnly(Compound& c, OpenedFile& file) {
  NFS_TRY(ToStatus(c.engine().Pin(file.file.id)));
  file.pin = Pin(&c.engine(), file.file.id);
  return NFS4_OK;
}

nfsstat4 CreateFile(Compound& c, const OPEN4args& args, OpenedFile& file) {
  const createhow4& how = args.openhow.how;
  vfs::CreateOptions options;
  NFS_TRY(CreateOptionsOf(c, how, options, file));
  NFS_TRY(CheckNotAccessPoint(c, args.claim.file));
  auto made = c.engine().Create(c.caller(), c.current.id, args.claim.file, options);
  if (!made.ok()) return ToStatus(made);
  file.file = {c.current.exported, made->attributes.id};
  file.attributes = made->attributes;
  file.cinfo = ToWire(made->directory);
  if (made->existed && options.mode == vfs::CreateMode::kUnchecked) {
    // Of the attributes only a size of 0 counts (RFC 8881 section 18.16.3).
    if (file.resize != 0) file.resize.reset();
    file.set = file.resize ? xdr::Bitmap{FATTR4_SIZE} : xdr::Bitmap();
    return OpenExisting(c, args, file);
  }
  // A verifier is no secret, and can be guessed: nobody but its maker repeats an exclusive create.
  uint32_t uid = c.caller().uid;
  if (made->existed && uid != 0 && uid != made->attributes.uid) return NFS4ERR_EXIST;
  if (file.resize == 0) file.resize.reset();  // it is empty
  // Its maker may open a new file as it likes, whatever mode it gave it.
  return PinOnly(c, file);
}

nfsstat4 OpenByName(Compound& c, const OPEN4args& args, OpenedFile& file) {
  std::string_view name =
      args.claim.claim == CLAIM_DELEGATE_CUR ? args.claim.delegate_cur_info.file : args.claim.file;
  NFS_TRY(CheckDirectory(c, true));
  NFS_TRY(CheckComponent(name));
  if (args.openhow.opentype == OPEN4_CREATE) return CreateFile(c, args, file);
  std::shared_ptr<const Export> entered;
  NFS_TRY(FindAccessPoint(c, name, entered));
  if (entered) return NFS4ERR_ISDIR;
  auto found = c.engine().Lookup(c.caller(), c.current.id, name);
  if (!found.ok()) return ToStatus(found);
  file.file = {c.current.exported, found->id};
  file.attributes = *found;
  return OpenExisting(c, args, file);
}

}  // namespace

nfsstat4 OpenFile(Compound& c, const OPEN4args& args, OpenedFile& file) {
  bool by_name = args.claim.claim == CLAIM_NULL || args.claim.claim == CLAIM_DELEGATE_CUR;
  if (by_name) return OpenByName(c, args, file);
  file.file = c.current;
  NFS_TRY(c.Attributes(file.attributes));
  nfsstat4 status = OpenExisting(c, args, file);
  // Its owner had it open before the restart, although the mode would not let it now.
  bool owner_had_it = args.claim.claim == CLAIM_PREVIOUS && status == NFS4ERR_ACCESS &&
                      file.attributes.uid == c.caller().uid;
  return owner_had_it ? PinOnly(c, file) : status;
}

nfsstat4 TruncateOpened(Compound& c, OpenedFile& file) {
  if (!file.resize) return NFS4_OK;
  vfs::AttributeChange change;
  change.size = file.resize;
  change.opened_for_write = true;
  auto changed = c.engine().SetAttributes(c.CallerFor(file.file), file.file.id, change);
  if (!changed.ok()) return ToStatus(changed);
  file.attributes = *changed;
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
