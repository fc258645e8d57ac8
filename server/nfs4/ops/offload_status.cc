// OFFLOAD_STATUS (RFC 7862 section 15.9).
#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

nfsstat4 OffloadStatus(Compound& c, const OFFLOAD_STATUS4args& args) {
  CopyJobs::Progress progress;
  NFS_TRY(c.services.copies.Find(*c.client, args.osa_stateid, c.current, progress));
  OFFLOAD_STATUS4resok ok;
  ok.osr_count = progress.copied;
  if (progress.end) ok.osr_complete.push_back(*progress.end);
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
