#include "server/nfs4/attributes.h"

#include <bit>
#include <charconv>

namespace tarn::nfs4 {
namespace {

using xdr::Bitmap;
using xdr::Encoder;

constexpr Bitmap kSupported40 = {FATTR4_SUPPORTED_ATTRS,
                                 FATTR4_TYPE,
                                 FATTR4_FH_EXPIRE_TYPE,
                                 FATTR4_CHANGE,
                                 FATTR4_SIZE,
                                 FATTR4_LINK_SUPPORT,
                                 FATTR4_SYMLINK_SUPPORT,
                                 FATTR4_NAMED_ATTR,
                                 FATTR4_FSID,
                                 FATTR4_UNIQUE_HANDLES,
                                 FATTR4_LEASE_TIME,
                                 FATTR4_RDATTR_ERROR,
                                 FATTR4_ACLSUPPORT,
                                 FATTR4_CANSETTIME,
                                 FATTR4_CASE_INSENSITIVE,
                                 FATTR4_CASE_PRESERVING,
                                 FATTR4_CHOWN_RESTRICTED,
                                 FATTR4_FILEHANDLE,
                                 FATTR4_FILEID,
                                 FATTR4_FILES_AVAIL,
                                 FATTR4_FILES_FREE,
                                 FATTR4_FILES_TOTAL,
                                 FATTR4_HOMOGENEOUS,
                                 FATTR4_MAXFILESIZE,
                                 FATTR4_MAXLINK,
                                 FATTR4_MAXNAME,
                                 FATTR4_MAXREAD,
                                 FATTR4_MAXWRITE,
                                 FATTR4_MODE,
                                 FATTR4_NO_TRUNC,
                                 FATTR4_NUMLINKS,
                                 FATTR4_OWNER,
                                 FATTR4_OWNER_GROUP,
                                 FATTR4_RAWDEV,
                                 FATTR4_SPACE_AVAIL,
                                 FATTR4_SPACE_FREE,
                                 FATTR4_SPACE_TOTAL,
                                 FATTR4_SPACE_USED,
                                 FATTR4_TIME_ACCESS,
                                 FATTR4_TIME_ACCESS_SET,
                                 FATTR4_TIME_CREATE,
                                 FATTR4_TIME_DELTA,
                                 FATTR4_TIME_METADATA,
                                 FATTR4_TIME_MODIFY,
                                 FATTR4_TIME_MODIFY_SET,
                                 FATTR4_MOUNTED_ON_FILEID};

constexpr Bitmap kSpace = {FATTR4_FILES_AVAIL, FATTR4_FILES_FREE, FATTR4_FILES_TOTAL,
                           FATTR4_SPACE_AVAIL, FATTR4_SPACE_FREE, FATTR4_SPACE_TOTAL};

// Set only, never told.
constexpr Bitmap kWriteOnly = {FATTR4_TIME_ACCESS_SET, FATTR4_TIME_MODIFY_SET, FATTR4_MODE_UMASK};

// An access point is entered by a name that no directory holds; clients see what lies under the
// mount as this inode. The top bit keeps it apart from those of files.
constexpr uint64_t kMountedOnBit = uint64_t{1} << 63;

void PutTime(Encoder& to, const vfs::Time& time) {
  to.Put(time.seconds);
  to.Put(time.nanoseconds);
}

void PutId(Encoder& to, uint32_t id) {
  char text[10];
  auto end = std::to_chars(text, text + sizeof(text), id).ptr;
  to.PutString({text, static_cast<size_t>(end - text)});
}

uint64_t MountedOn(const AttributeSource& s) {
  bool crossing = s.exported.number != 0 && s.file.id == s.exported.root;
  return crossing ? kMountedOnBit | s.exported.number : s.file.id.inode;
}

// What OPEN takes (RFC 9754 section 3).
open_arguments4 OpenArguments() {
  return {.oa_share_access = {OPEN_ARGS_SHARE_ACCESS_READ, OPEN_ARGS_SHARE_ACCESS_WRITE,
                              OPEN_ARGS_SHARE_ACCESS_BOTH},
          .oa_share_deny = {OPEN_ARGS_SHARE_DENY_NONE, OPEN_ARGS_SHARE_DENY_READ,
                            OPEN_ARGS_SHARE_DENY_WRITE, OPEN_ARGS_SHARE_DENY_BOTH},
          .oa_share_access_want = {OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG,
                                   OPEN_ARGS_SHARE_ACCESS_WANT_NO_DELEG,
                                   OPEN_ARGS_SHARE_ACCESS_WANT_CANCEL,
                                   OPEN_ARGS_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL,
                                   OPEN_ARGS_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED},
          .oa_open_claim = {OPEN_ARGS_OPEN_CLAIM_NULL, OPEN_ARGS_OPEN_CLAIM_PREVIOUS,
                            OPEN_ARGS_OPEN_CLAIM_DELEGATE_CUR, OPEN_ARGS_OPEN_CLAIM_FH,
                            OPEN_ARGS_OPEN_CLAIM_DELEG_CUR_FH},
          .oa_create_mode = {OPEN_ARGS_CREATEMODE_UNCHECKED4, OPEN_ARGS_CREATE_MODE_GUARDED,
                             OPEN_ARGS_CREATEMODE_EXCLUSIVE4, OPEN_ARGS_CREATE_MODE_EXCLUSIVE4_1}};
}

// What is the same for every file of the server.
void PutConstant(Encoder& to, uint32_t attribute, const AttributeSource& s) {
  switch (attribute) {
    case FATTR4_SUPPORTED_ATTRS:
      return Encode(to, SupportedAttributes(s.minor));
    case FATTR4_SUPPATTR_EXCLCREAT:
      return Encode(to, ExclusiveCreateAttributes(s.minor));
    case FATTR4_OPEN_ARGUMENTS:
      return Encode(to, OpenArguments());
    case FATTR4_FH_EXPIRE_TYPE:
      return to.Put(FH4_PERSISTENT);
    case FATTR4_LEASE_TIME:
      return to.Put(s.lease_seconds);
    case FATTR4_RDATTR_ERROR:
      return to.Put(static_cast<uint32_t>(NFS4_OK));
    case FATTR4_ACLSUPPORT:
      return to.Put(uint32_t{0});
    case FATTR4_MAXFILESIZE:
      return to.Put(vfs::kFileBytesMax);
    case FATTR4_MAXLINK:
      return to.Put(vfs::kLinksMax);
    case FATTR4_MAXNAME:
      return to.Put(static_cast<uint32_t>(vfs::kNameBytesMax));
    case FATTR4_MAXREAD:
    case FATTR4_MAXWRITE:
      return to.Put(kTransferBytesMax);
    case FATTR4_TIME_DELTA:
      return PutTime(to, {.seconds = 0, .nanoseconds = 1});
    case FATTR4_CLONE_BLKSIZE:
      return to.Put(static_cast<uint32_t>(vfs::kCloneBlockBytes));
    case FATTR4_CHANGE_ATTR_TYPE:
      return to.Put(static_cast<uint32_t>(NFS4_CHANGE_TYPE_IS_MONOTONIC_INCR));
    case FATTR4_NAMED_ATTR:
    case FATTR4_CASE_INSENSITIVE:
      return to.Put(false);
    default:
      return to.Put(true);  // the other booleans
  }
}

void PutSpace(Encoder& to, uint32_t attribute, const vfs::SpaceInfo& space) {
  switch (attribute) {
    case FATTR4_FILES_TOTAL:
      return to.Put(space.files_total);
    case FATTR4_FILES_AVAIL:
    case FATTR4_FILES_FREE:
      return to.Put(space.files_free);
    case FATTR4_SPACE_TOTAL:
      return to.Put(space.bytes_total);
    default:
      return to.Put(space.bytes_free);
  }
}

void PutOne(Encoder& to, uint32_t attribute, const AttributeSource& s) {
  switch (attribute) {
    case FATTR4_TYPE:
      return to.Put(static_cast<uint32_t>(ToWire(s.file.type)));
    case FATTR4_CHANGE:
      return to.Put(s.file.change);
    case FATTR4_SIZE:
      return to.Put(s.file.size);
    case FATTR4_FSID:
      to.Put(uint64_t{s.exported.file_system});
      return to.Put(s.exported.number);
    case FATTR4_FILEHANDLE:
      return to.PutOpaque(s.handle);
    case FATTR4_FILEID:
      return to.Put(s.file.id.inode);
    case FATTR4_MOUNTED_ON_FILEID:
      return to.Put(MountedOn(s));
    case FATTR4_MODE:
      return to.Put(s.file.mode & 07777);
    case FATTR4_NUMLINKS:
      return to.Put(s.file.links);
    case FATTR4_OWNER:
      return PutId(to, s.file.uid);
    case FATTR4_OWNER_GROUP:
      return PutId(to, s.file.gid);
    case FATTR4_RAWDEV:
      to.Put(s.file.device.major);
      return to.Put(s.file.device.minor);
    case FATTR4_SPACE_USED:
    // Storage that files share counts for each of them, so this is what the space that is left
    // grows by when the file goes.
    case FATTR4_SPACE_FREED:
      return to.Put(s.file.space_used);
    case FATTR4_TIME_ACCESS:
      return PutTime(to, s.file.access_time);
    case FATTR4_TIME_CREATE:
      return PutTime(to, s.file.create_time);
    case FATTR4_TIME_METADATA:
      return PutTime(to, s.file.change_time);
    case FATTR4_TIME_MODIFY:
      return PutTime(to, s.file.modify_time);
    default:
      break;
  }
  if (kSpace.Has(attribute)) return PutSpace(to, attribute, *s.space);
  PutConstant(to, attribute, s);
}

}  // namespace

xdr::Bitmap SupportedAttributes(uint32_t minor) {
  Bitmap supported = kSupported40;
  if (minor >= 1) supported.Set(FATTR4_SUPPATTR_EXCLCREAT);
  if (minor >= 2) {
    for (uint32_t attribute : {FATTR4_CLONE_BLKSIZE, FATTR4_SPACE_FREED, FATTR4_CHANGE_ATTR_TYPE,
                               FATTR4_MODE_UMASK, FATTR4_XATTR_SUPPORT, FATTR4_OPEN_ARGUMENTS}) {
      supported.Set(attribute);
    }
  }
  return supported;
}

xdr::Bitmap ExclusiveCreateAttributes(uint32_t minor) {
  Bitmap settable = {
      FATTR4_SIZE,           FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_TIME_ACCESS_SET,
      FATTR4_TIME_MODIFY_SET};
  if (minor >= 2) settable.Set(FATTR4_MODE_UMASK);
  return settable;
}

bool AsksForWriteOnly(const xdr::Bitmap& wanted) {
  return !(wanted & kWriteOnly).empty();
}

bool AsksForSpace(const xdr::Bitmap& wanted) {
  return !(wanted & kSpace).empty();
}

void EncodeAttributes(xdr::Encoder& to, const xdr::Bitmap& wanted, const AttributeSource& source) {
  Bitmap told = wanted & SupportedAttributes(source.minor);
  for (uint32_t i = 0; i < Bitmap::kWords; ++i) told.words[i] &= ~kWriteOnly.words[i];
  Encode(to, told);
  Encoder::Mark length_at = to.mark();
  to.Put(uint32_t{0});
  size_t start = to.size();
  for (uint32_t i = 0; i < Bitmap::kWords; ++i) {
    for (uint32_t word = told.words[i]; word != 0; word &= word - 1) {
      PutOne(to, i * 32 + static_cast<uint32_t>(std::countr_zero(word)), source);
    }
  }
  to.PatchU32(length_at, static_cast<uint32_t>(to.size() - start));
}

void EncodeAttributeError(xdr::Encoder& to, nfsstat4 why) {
  Encode(to, Bitmap{FATTR4_RDATTR_ERROR});
  to.Put(uint32_t{4});
  to.Put(static_cast<uint32_t>(why));
}

nfs_ftype4 ToWire(vfs::FileType type) {
  switch (type) {
    case vfs::FileType::kRegular:
      return NF4REG;
    case vfs::FileType::kDirectory:
      return NF4DIR;
    case vfs::FileType::kSymlink:
      return NF4LNK;
    case vfs::FileType::kFifo:
      return NF4FIFO;
    case vfs::FileType::kSocket:
      return NF4SOCK;
    case vfs::FileType::kBlockDevice:
      return NF4BLK;
    case vfs::FileType::kCharacterDevice:
      return NF4CHR;
  }
  return NF4REG;
}

}  // namespace tarn::nfs4
