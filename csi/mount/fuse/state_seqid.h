// How statuses bear on owners' sequence ids and on state as a whole (RFC 7530 sections 9.1.7 and
// 9.6).
#pragma once

#include "csi/mount/fuse/compound.h"

namespace tarn::fuse {

// The server does not know our client id or state: it restarted, or our lease ran out.
inline bool IsLost(Status status) {
  return status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_STALE_STATEID ||
         status == NFS4ERR_EXPIRED || status == NFS4ERR_BAD_STATEID ||
         status == NFS4ERR_ADMIN_REVOKED || status == NFS4ERR_OLD_STATEID;
}

inline bool IsLater(Status status) {
  return status == NFS4ERR_DELAY || status == NFS4ERR_GRACE || status == NFS4ERR_RESOURCE;
}

// After these the owner's seqid at the server is as we count it.
inline bool OwnerIsUsable(Status status) {
  return !IsLost(status) && status != NFS4ERR_BAD_SEQID && status != kInterrupted &&
         status != kStopped && status != kMalformed;
}

// Every outcome but these moves the seqid on, if the operation was reached.
inline void MoveSeqid(uint32_t& seqid, const Results& results, nfs_opnum4 op, Status status) {
  if (!results.Reached(op)) return;
  switch (status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_BADZDR:
    case NFS4ERR_RESOURCE:
    case NFS4ERR_NOFILEHANDLE:
    case NFS4ERR_MOVED:
      return;
    default:
      ++seqid;
  }
}

}  // namespace tarn::fuse
