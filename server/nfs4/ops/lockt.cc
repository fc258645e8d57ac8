// LOCKT (RFC 8881 section 18.11).
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 LockT(Compound& c, const LOCKT4args& args) {
  Range range;
  NFS_TRY(ToRange(args.locktype, args.offset, args.length, range));
  std::shared_ptr<Client> client;
  NFS_TRY(ClientOf(c, args.owner.clientid, client));
  if (c.services.recovery->InGrace()) return NFS4ERR_GRACE;
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  if (file.type == vfs::FileType::kDirectory) return NFS4ERR_ISDIR;
  if (file.type != vfs::FileType::kRegular) {
    return c.minor >= 1 ? NFS4ERR_WRONG_TYPE : NFS4ERR_INVAL;
  }
  // Who may write without asking may lock so, too.
  NFS_TRY(c.RecallWrites(client.get()));
  auto owner = client->LockOwnerOf(Text(args.owner.owner), false);
  range.owner = owner.get();
  Locked locked = Retry(c, [&] { return c.services.files.Test(KeyOf(c.current), range); });
  return AnswerDenied(c, locked);
}

}  // namespace tarn::nfs4::ops
