#include "csi/mount/fuse/protocol.h"

#include <cerrno>

namespace tarn::fuse {

namespace {

struct Name {
  Status status;
  int error;
  const char* name;
};

constexpr Name kNames[] = {
    {NFS4_OK, 0, "OK"},
    {NFS4ERR_PERM, EPERM, "PERM"},
    {NFS4ERR_NOENT, ENOENT, "NOENT"},
    {NFS4ERR_IO, EIO, "IO"},
    {NFS4ERR_NXIO, ENXIO, "NXIO"},
    {NFS4ERR_ACCESS, EACCES, "ACCESS"},
    {NFS4ERR_EXIST, EEXIST, "EXIST"},
    {NFS4ERR_XDEV, EXDEV, "XDEV"},
    {NFS4ERR_NOTDIR, ENOTDIR, "NOTDIR"},
    {NFS4ERR_ISDIR, EISDIR, "ISDIR"},
    {NFS4ERR_INVAL, EINVAL, "INVAL"},
    {NFS4ERR_FBIG, EFBIG, "FBIG"},
    {NFS4ERR_NOSPC, ENOSPC, "NOSPC"},
    {NFS4ERR_ROFS, EROFS, "ROFS"},
    {NFS4ERR_MLINK, EMLINK, "MLINK"},
    {NFS4ERR_NAMETOOLONG, ENAMETOOLONG, "NAMETOOLONG"},
    {NFS4ERR_NOTEMPTY, ENOTEMPTY, "NOTEMPTY"},
    {NFS4ERR_DQUOT, EDQUOT, "DQUOT"},
    {NFS4ERR_STALE, ESTALE, "STALE"},
    {NFS4ERR_BADHANDLE, ESTALE, "BADHANDLE"},
    {NFS4ERR_FHEXPIRED, ESTALE, "FHEXPIRED"},
    {NFS4ERR_NOTSUPP, EOPNOTSUPP, "NOTSUPP"},
    {NFS4ERR_ATTRNOTSUPP, EOPNOTSUPP, "ATTRNOTSUPP"},
    {NFS4ERR_BADTYPE, EINVAL, "BADTYPE"},
    {NFS4ERR_BADOWNER, EINVAL, "BADOWNER"},
    {NFS4ERR_BADNAME, EINVAL, "BADNAME"},
    {NFS4ERR_BADCHAR, EINVAL, "BADCHAR"},
    {NFS4ERR_SYMLINK, ELOOP, "SYMLINK"},
    {NFS4ERR_LOCKED, EAGAIN, "LOCKED"},
    {NFS4ERR_DENIED, EAGAIN, "DENIED"},
    {NFS4ERR_DEADLOCK, EDEADLK, "DEADLOCK"},
    {NFS4ERR_LOCK_RANGE, EINVAL, "LOCK_RANGE"},
    {NFS4ERR_BAD_RANGE, EOVERFLOW, "BAD_RANGE"},
    {NFS4ERR_LOCK_NOTSUPP, ENOLCK, "LOCK_NOTSUPP"},
    {NFS4ERR_OPENMODE, EBADF, "OPENMODE"},
    {NFS4ERR_SHARE_DENIED, EACCES, "SHARE_DENIED"},
    {NFS4ERR_FILE_OPEN, EBUSY, "FILE_OPEN"},
    {NFS4ERR_WRONGSEC, EPERM, "WRONGSEC"},
    {NFS4ERR_BAD_COOKIE, EINVAL, "BAD_COOKIE"},
    {NFS4ERR_TOOSMALL, EINVAL, "TOOSMALL"},
    {NFS4ERR_SERVERFAULT, EIO, "SERVERFAULT"},
    {NFS4ERR_DELAY, EAGAIN, "DELAY"},
    {NFS4ERR_GRACE, EAGAIN, "GRACE"},
    {NFS4ERR_RESOURCE, EIO, "RESOURCE"},
    {NFS4ERR_NO_GRACE, EIO, "NO_GRACE"},
    {NFS4ERR_BAD_SEQID, EIO, "BAD_SEQID"},
    {NFS4ERR_EXPIRED, EIO, "EXPIRED"},
    {NFS4ERR_STALE_CLIENTID, EIO, "STALE_CLIENTID"},
    {NFS4ERR_STALE_STATEID, EIO, "STALE_STATEID"},
    {NFS4ERR_BAD_STATEID, EIO, "BAD_STATEID"},
    {NFS4ERR_OLD_STATEID, EIO, "OLD_STATEID"},
    {NFS4ERR_RECLAIM_BAD, EIO, "RECLAIM_BAD"},
    {NFS4ERR_RECLAIM_CONFLICT, EIO, "RECLAIM_CONFLICT"},
    {NFS4ERR_BADZDR, EIO, "BADXDR"},
    {kMalformed, EIO, "a malformed reply"},
    {kInterrupted, EINTR, "interrupted"},
    {kStopped, ENOTCONN, "stopped"},
};

const Name* Find(Status status) {
  for (const Name& name : kNames) {
    if (name.status == status) return &name;
  }
  return nullptr;
}

}  // namespace

int ErrnoOf(Status status) {
  const Name* name = Find(status);
  return name == nullptr ? EIO : name->error;
}

const char* StatusName(Status status) {
  const Name* name = Find(status);
  return name == nullptr ? "an unknown status" : name->name;
}

}  // namespace tarn::fuse
