#include "server/nfs4/status.h"

namespace tarn::nfs4 {

nfsstat4 ToStatus(Code code) {
  switch (code) {
    case Code::kOk:
      return NFS4_OK;
    case Code::kNoEntry:
    case Code::kNotFound:
      return NFS4ERR_NOENT;
    case Code::kExists:
    case Code::kAlreadyExists:
      return NFS4ERR_EXIST;
    case Code::kNotDirectory:
      return NFS4ERR_NOTDIR;
    case Code::kIsDirectory:
      return NFS4ERR_ISDIR;
    case Code::kNotEmpty:
      return NFS4ERR_NOTEMPTY;
    case Code::kAccess:
    case Code::kDenied:
    case Code::kUnauthenticated:
      return NFS4ERR_ACCESS;
    case Code::kPermission:
      return NFS4ERR_PERM;
    case Code::kStale:
      return NFS4ERR_STALE;
    case Code::kBadHandle:
      return NFS4ERR_BADHANDLE;
    case Code::kNameTooLong:
      return NFS4ERR_NAMETOOLONG;
    case Code::kFileTooBig:
      return NFS4ERR_FBIG;
    case Code::kNoSpace:
      return NFS4ERR_NOSPC;
    case Code::kQuota:
      return NFS4ERR_DQUOT;
    case Code::kReadOnly:
      return NFS4ERR_ROFS;
    case Code::kTooManyLinks:
    case Code::kLimitExceeded:
      return NFS4ERR_MLINK;
    case Code::kCrossDevice:
      return NFS4ERR_XDEV;
    case Code::kInvalid:
    case Code::kRange:
      return NFS4ERR_INVAL;
    case Code::kNoData:
      return NFS4ERR_NOXATTR;
    case Code::kNotSupported:
      return NFS4ERR_NOTSUPP;
    case Code::kBadCookie:
      return NFS4ERR_BAD_COOKIE;
    // The root of an access point cannot be removed or renamed; clients show this one as EBUSY.
    case Code::kInUse:
    case Code::kWrongState:
      return NFS4ERR_FILE_OPEN;
    case Code::kUnavailable:
    case Code::kAborted:
    case Code::kDeadlineExceeded:
      return NFS4ERR_DELAY;
    case Code::kIo:
    case Code::kCorrupt:
      return NFS4ERR_IO;
    case Code::kProtocol:
    case Code::kInternal:
      return NFS4ERR_SERVERFAULT;
  }
  return NFS4ERR_SERVERFAULT;
}

}  // namespace tarn::nfs4
