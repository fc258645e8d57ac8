// READ (RFC 8881 section 18.22). The data goes out of the buffer that the engine filled.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {

// Copying more than this takes longer than waking another worker.
constexpr size_t kQuickBytesMax = 64 * 1024;

namespace {

// The result besides its data, with a margin for what comes after.
constexpr size_t kHeadBytes = 64;

}  // namespace

nfsstat4 Read(Compound& c, const READ4args& args) {
  // The engine tells when the bytes of a small one are not in memory.
  if (args.count > kQuickBytesMax) c.call.AboutToWait();
  bool opened = false;
  NFS_TRY(CheckRead(c, args.stateid, opened));
  // The reply must fit into the session's; a short READ is fine.
  size_t size = std::min<size_t>(args.count, RoomForData(c, kHeadBytes));
  std::unique_ptr<std::byte[]> buffer(new std::byte[size]);
  auto fill = [&](bool trusted) {
    return c.engine().Read(c.caller(), c.current.id, trusted, args.offset, {buffer.get(), size});
  };
  auto read = AllowOwner(c, fill(opened), opened, [&] { return fill(true); });
  if (!read.ok()) return DataStatus(c, read.code());
  c.to.Put(read->end_of_file);
  c.to.PutOpaque({buffer.get(), read->bytes});
  c.to.Hold(std::move(buffer));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
