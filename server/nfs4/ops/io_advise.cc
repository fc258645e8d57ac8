// IO_ADVISE (RFC 7862 section 15.5): what the client is about to do with a range.
//
// The answer names the hints that the server acts upon. Its files lie in the page cache of the
// machine, which finds out about sequential reads by itself: so there is nothing to do but to go on
// as always, and only IO_ADVISE4_NORMAL, which asks for this, is promised.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

nfsstat4 IoAdvise(Compound& c, const IO_ADVISE4args& args) {
  NFS_TRY(CheckRegular(c));
  if (args.iaa_count > UINT64_MAX - args.iaa_offset) return NFS4ERR_INVAL;
  if (SpecialOf(args.iaa_stateid) == SpecialStateid::kNone ||
      SpecialOf(args.iaa_stateid) == SpecialStateid::kCurrent) {
    std::shared_ptr<State> state;
    NFS_TRY(c.FindState(args.iaa_stateid, state));
  } else if (SpecialOf(args.iaa_stateid) == SpecialStateid::kInvalid) {
    return NFS4ERR_BAD_STATEID;
  }
  IO_ADVISE4resok ok;
  if (args.iaa_hints.Has(static_cast<uint32_t>(IO_ADVISE4_NORMAL))) {
    ok.ior_hints.Set(static_cast<uint32_t>(IO_ADVISE4_NORMAL));
  }
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
