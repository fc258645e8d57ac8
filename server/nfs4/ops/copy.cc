// COPY (RFC 7862 section 15.2), within this server.
#include "server/nfs4/ops/two_files.h"

namespace tarn::nfs4::ops {
namespace {

// What the RFC asks of the ranges before a byte is copied.
nfsstat4 CheckSource(Compound& c, const COPY4args& args, vfs::FileId source, vfs::FileId target) {
  if (source == target) return NFS4ERR_INVAL;
  auto file = c.engine().GetAttributes(c.caller(), source);
  if (!file.ok()) return ToStatus(file);
  bool beyond = args.ca_src_offset > file->size || args.ca_count > file->size - args.ca_src_offset;
  return beyond ? NFS4ERR_INVAL : NFS4_OK;
}

}  // namespace

nfsstat4 Copy(Compound& c, const COPY4args& args) {
  if (!args.ca_source_server.empty()) return NFS4ERR_NOTSUPP;  // from another server
  vfs::DataPlace source{.file = {}, .opened = false, .offset = args.ca_src_offset};
  vfs::DataPlace target{.file = {}, .opened = false, .offset = args.ca_dst_offset};
  NFS_TRY(CheckTransfer(c, args.ca_src_stateid, args.ca_dst_stateid, source, target));
  NFS_TRY(CheckSource(c, args, source.file, target.file));
  COPY4resok ok;
  ok.cr_response.wr_writeverf = WriteVerifier(c);
  auto copied = c.engine().Copy(c.caller(), source, target, args.ca_count);
  if (!copied.ok()) return ToStatus(copied);
  ok.cr_response.wr_count = *copied;  // a long copy is several: the client asks for the rest
  ok.cr_response.wr_committed = FILE_SYNC4;
  ok.cr_requirements = {.cr_consecutive = true, .cr_synchronous = true};
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
