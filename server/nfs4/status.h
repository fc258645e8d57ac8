// The one mapping from our error codes to nfsstat4 (RFC 8881 section 15.1).
#pragma once

#include "api/nfs4.h"
#include "common/result.h"

namespace tarn::nfs4 {

nfsstat4 ToStatus(Code code);

template <typename T>
nfsstat4 ToStatus(const Result<T>& result) {
  return ToStatus(result.code());
}

}  // namespace tarn::nfs4

// Returns the status of a Result that is an error, or of an nfsstat4 that is not NFS4_OK, from an
// operation.
#define NFS_TRY(expr)                                                          \
  do {                                                                         \
    if (auto nfs_try_status = (expr); nfs_try_status != ::tarn::nfs4::NFS4_OK) \
      return nfs_try_status;                                                   \
  } while (false)
