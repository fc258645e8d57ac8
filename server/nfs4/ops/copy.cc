// COPY (RFC 7862 section 15.2), within this server.
//
// A copy of up to vfs::kCopyBytesMax is made at once. A longer one goes on in the background, if
// the client allows it and can be told of its end; else it is made in part, and the client asks for
// the rest.
#include "server/nfs4/ops/two_files.h"

namespace tarn::nfs4::ops {
namespace {

// What the RFC asks of the ranges before a byte is copied; `length` is what there is to copy.
nfsstat4 CheckSource(Compound& c, const COPY4args& args, vfs::FileId source, vfs::FileId target,
                     uint64_t& length) {
  if (source == target) return NFS4ERR_INVAL;
  auto file = c.engine().GetAttributes(c.caller(), source);
  if (!file.ok()) return ToStatus(file);
  bool beyond = args.ca_src_offset > file->size || args.ca_count > file->size - args.ca_src_offset;
  if (beyond) return NFS4ERR_INVAL;
  length = args.ca_count == 0 ? file->size - args.ca_src_offset : args.ca_count;
  bool too_far = length > vfs::kFileBytesMax || args.ca_dst_offset > vfs::kFileBytesMax - length;
  return too_far ? NFS4ERR_FBIG : NFS4_OK;
}

// Whether what the call might do, the connection may do still: the policy may have changed since.
// The connection itself may be gone.
std::function<nfsstat4()> StillAllowed(Compound& c) {
  return [&exports = c.services.exports, peer = c.call.peer, exported = c.current.exported,
          root = c.RightsTo(c.exported()).root] {
    Rights now = exports.RightsOf(peer, *exported);
    if (!now.mount || (root && !now.root)) return NFS4ERR_ACCESS;
    return now.write ? NFS4_OK : NFS4ERR_ROFS;
  };
}

// Nothing if it cannot be done in the background now.
std::optional<stateid4> StartJob(Compound& c, const vfs::DataPlace& source,
                                 const vfs::DataPlace& target, uint64_t length) {
  if (!c.client->callbacks->Ready()) return std::nullopt;
  HandleBytes handle = HandleOf(c, c.current);
  CallbackOptions callback;
  callback.referring = c.referring();
  return c.services.copies.Start({.client = c.client,
                                  .target_file = c.current,
                                  .target_handle = {handle.begin(), handle.end()},
                                  .caller = c.caller(),
                                  .source = source,
                                  .target = target,
                                  .length = length,
                                  .write_verifier = WriteVerifier(c),
                                  .callback = callback,
                                  .may_go_on = StillAllowed(c)});
}

}  // namespace

nfsstat4 Copy(Compound& c, const COPY4args& args) {
  if (!args.ca_source_server.empty()) return NFS4ERR_NOTSUPP;  // from another server
  vfs::DataPlace source{.file = {}, .opened = false, .offset = args.ca_src_offset};
  vfs::DataPlace target{.file = {}, .opened = false, .offset = args.ca_dst_offset};
  NFS_TRY(CheckTransfer(c, args.ca_src_stateid, args.ca_dst_stateid, source, target));
  uint64_t length = 0;
  NFS_TRY(CheckSource(c, args, source.file, target.file, length));
  COPY4resok ok;
  ok.cr_response.wr_writeverf = WriteVerifier(c);
  ok.cr_response.wr_committed = FILE_SYNC4;
  ok.cr_requirements = {.cr_consecutive = true, .cr_synchronous = true};
  bool open = source.opened && target.opened;  // so that rights are checked now
  if (open && !args.ca_synchronous && length > vfs::kCopyBytesMax) {
    if (auto job = StartJob(c, source, target, length)) {
      ok.cr_response.wr_callback_id.push_back(*job);
      ok.cr_requirements.cr_synchronous = false;
      Encode(c.to, ok);
      return NFS4_OK;
    }
  }
  auto copied = c.engine().Copy(c.caller(), source, target, args.ca_count);
  if (!copied.ok()) return ToStatus(copied);
  ok.cr_response.wr_count = *copied;
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
