// What becomes of a caller that may not be root (Rights::root), wherever that is asked.
#pragma once

#include <algorithm>

#include "server/nfs4/exports.h"
#include "server/vfs/types.h"

namespace tarn::nfs4 {

inline void SquashRoot(vfs::Caller& caller) {
  if (caller.uid == 0) caller.uid = kSquashedId;
  if (caller.gid == 0) caller.gid = kSquashedId;
  std::replace(caller.gids.begin(), caller.gids.end(), 0U, kSquashedId);
}

}  // namespace tarn::nfs4
