// WRITE (RFC 8881 section 18.32). The data goes to the engine out of the request.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

constexpr size_t kQuickBytesMax = 32 * 1024;

}  // namespace

nfsstat4 Write(Compound& c, const WRITE4args& args) {
  if (args.stable > FILE_SYNC4) return NFS4ERR_INVAL;
  // A small one that need not be stable goes to the page cache at once.
  if (args.stable != UNSTABLE4 || args.data.size() > kQuickBytesMax) c.call.AboutToWait();
  bool opened = false;
  NFS_TRY(c.CheckIo(args.stateid, false, true, opened));
  if (args.offset > UINT64_MAX - args.data.size()) return NFS4ERR_FBIG;
  auto data = args.data.first(std::min(args.data.size(), vfs::kIoBytesMax));
  WRITE4resok ok{.count = 0, .committed = args.stable, .writeverf = WriteVerifier(c)};
  auto write = [&](bool trusted) {
    return c.engine().Write(c.caller(), c.current.id, trusted, args.offset, data,
                            static_cast<vfs::Stability>(args.stable));
  };
  auto written = AllowOwner(c, write(opened), opened, [&] { return write(true); });
  if (!written.ok()) return DataStatus(c, written.code());
  ok.count = static_cast<uint32_t>(written->bytes);
  ok.committed = static_cast<stable_how4>(written->stability);
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
