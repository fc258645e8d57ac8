#include "tests/nfs/client/attributes.h"

#include <utility>

namespace tarn::nfs_client {
namespace {

using namespace nfs4;

bool GetText(xdr::Decoder& from, std::string& value) {
  std::string_view view;
  if (!from.GetString(view, UINT32_MAX)) return false;
  value = view;
  return true;
}

bool GetHandle(xdr::Decoder& from, Fh& value) {
  xdr::Opaque view;
  if (!from.GetOpaque(view, NFS4_FHSIZE)) return false;
  value.assign(view.begin(), view.end());
  return true;
}

bool GetSupported(xdr::Decoder& from, std::optional<xdr::Bitmap>& value) {
  return Decode(from, value.emplace());
}

// Booleans and words that no test looks into.
bool IsSkippedWord(uint32_t attribute) {
  switch (attribute) {
    case FATTR4_LINK_SUPPORT:
    case FATTR4_SYMLINK_SUPPORT:
    case FATTR4_NAMED_ATTR:
    case FATTR4_UNIQUE_HANDLES:
    case FATTR4_ACLSUPPORT:
    case FATTR4_CANSETTIME:
    case FATTR4_CASE_INSENSITIVE:
    case FATTR4_CASE_PRESERVING:
    case FATTR4_CHOWN_RESTRICTED:
    case FATTR4_HOMOGENEOUS:
    case FATTR4_NO_TRUNC:
    case FATTR4_FS_CHARSET_CAP:
    case FATTR4_CLONE_BLKSIZE:
    case FATTR4_CHANGE_ATTR_TYPE:
    case FATTR4_XATTR_SUPPORT:
      return true;
    default:
      return false;
  }
}

bool GetNumber(xdr::Decoder& from, uint32_t attribute, Attributes& a) {
  switch (attribute) {
    case FATTR4_CHANGE:
      return from.Get(a.change);
    case FATTR4_SIZE:
      return from.Get(a.size);
    case FATTR4_FILEID:
      return from.Get(a.fileid);
    case FATTR4_FILES_AVAIL:
      return from.Get(a.files_avail);
    case FATTR4_FILES_FREE:
      return from.Get(a.files_free);
    case FATTR4_FILES_TOTAL:
      return from.Get(a.files_total);
    case FATTR4_MAXFILESIZE:
      return from.Get(a.maxfilesize);
    case FATTR4_MAXREAD:
      return from.Get(a.maxread);
    case FATTR4_MAXWRITE:
      return from.Get(a.maxwrite);
    case FATTR4_QUOTA_AVAIL_HARD:
      return from.Get(a.quota_avail_hard);
    case FATTR4_QUOTA_AVAIL_SOFT:
      return from.Get(a.quota_avail_soft);
    case FATTR4_QUOTA_USED:
      return from.Get(a.quota_used);
    case FATTR4_SPACE_AVAIL:
      return from.Get(a.space_avail);
    case FATTR4_SPACE_FREE:
      return from.Get(a.space_free);
    case FATTR4_SPACE_TOTAL:
      return from.Get(a.space_total);
    case FATTR4_SPACE_USED:
      return from.Get(a.space_used);
    case FATTR4_SPACE_FREED:
      return from.Get(a.space_freed);
    case FATTR4_MOUNTED_ON_FILEID:
      return from.Get(a.mounted_on_fileid);
    case FATTR4_FH_EXPIRE_TYPE:
      return from.Get(a.fh_expire_type);
    case FATTR4_LEASE_TIME:
      return from.Get(a.lease_time);
    case FATTR4_MAXLINK:
      return from.Get(a.maxlink);
    case FATTR4_MAXNAME:
      return from.Get(a.maxname);
    case FATTR4_MODE:
      return from.Get(a.mode);
    case FATTR4_NUMLINKS:
      return from.Get(a.numlinks);
    default:
      break;
  }
  uint32_t skipped = 0;
  return IsSkippedWord(attribute) && from.Get(skipped);
}

bool GetOne(xdr::Decoder& from, uint32_t attribute, Attributes& a) {
  switch (attribute) {
    case FATTR4_SUPPORTED_ATTRS:
      return GetSupported(from, a.supported);
    case FATTR4_SUPPATTR_EXCLCREAT: {
      xdr::Bitmap skipped;
      return Decode(from, skipped);
    }
    case FATTR4_TYPE:
      return Decode(from, a.type);
    case FATTR4_FSID:
      return Decode(from, a.fsid);
    case FATTR4_RDATTR_ERROR:
      return Decode(from, a.rdattr_error);
    case FATTR4_FILEHANDLE:
      return GetHandle(from, a.filehandle);
    case FATTR4_OWNER:
      return GetText(from, a.owner);
    case FATTR4_OWNER_GROUP:
      return GetText(from, a.owner_group);
    case FATTR4_OPEN_ARGUMENTS:
      return Decode(from, a.open_arguments);
    case FATTR4_RAWDEV:
      return Decode(from, a.rawdev);
    case FATTR4_TIME_ACCESS:
      return Decode(from, a.time_access);
    case FATTR4_TIME_CREATE:
      return Decode(from, a.time_create);
    case FATTR4_TIME_DELTA:
      return Decode(from, a.time_delta);
    case FATTR4_TIME_METADATA:
      return Decode(from, a.time_metadata);
    case FATTR4_TIME_MODIFY:
      return Decode(from, a.time_modify);
    default:
      return GetNumber(from, attribute, a);
  }
}

}  // namespace

bool Parse(const fattr4& from, Attributes& attributes) {
  attributes.given = from.attrmask;
  xdr::Decoder values(from.attr_vals);
  for (uint32_t bit = 0; bit < xdr::Bitmap::kWords * 32; ++bit) {
    if (from.attrmask.Has(bit) && !GetOne(values, bit, attributes)) return false;
  }
  return values.remaining() == 0 && !from.attrmask.beyond;
}

EncodedAttributes::EncodedAttributes(const SetAttributes& set) {
  xdr::Encoder to;
  auto has = [this](uint32_t bit, bool there) {
    if (there) mask.Set(bit);
    return there;
  };
  if (has(FATTR4_SIZE, set.size.has_value())) to.Put(*set.size);
  if (has(FATTR4_MODE, set.mode.has_value())) to.Put(*set.mode);
  if (has(FATTR4_OWNER, set.owner.has_value())) to.PutString(*set.owner);
  if (has(FATTR4_OWNER_GROUP, set.owner_group.has_value())) to.PutString(*set.owner_group);
  if (has(FATTR4_TIME_ACCESS_SET, set.access_time.has_value())) Encode(to, *set.access_time);
  if (has(FATTR4_TIME_MODIFY_SET, set.modify_time.has_value())) Encode(to, *set.modify_time);
  if (has(FATTR4_MODE_UMASK, set.mode_umask.has_value())) Encode(to, *set.mode_umask);
  values = to.Flatten();
}

const xdr::Bitmap& UsualAttributes() {
  static const xdr::Bitmap usual{FATTR4_TYPE,        FATTR4_CHANGE,
                                 FATTR4_SIZE,        FATTR4_FSID,
                                 FATTR4_FILEID,      FATTR4_MODE,
                                 FATTR4_NUMLINKS,    FATTR4_OWNER,
                                 FATTR4_OWNER_GROUP, FATTR4_SPACE_USED,
                                 FATTR4_TIME_ACCESS, FATTR4_TIME_METADATA,
                                 FATTR4_TIME_MODIFY, FATTR4_MOUNTED_ON_FILEID};
  return usual;
}

}  // namespace tarn::nfs_client
