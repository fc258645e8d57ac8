// RELEASE_LOCKOWNER (RFC 7530 section 16.37), 4.0 only.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 ReleaseLockowner(Compound& c, const RELEASE_LOCKOWNER4args& args) {
  std::shared_ptr<Client> client;
  NFS_TRY(ClientOf(c, args.lock_owner.clientid, client));
  auto owner = client->LockOwnerOf(Text(args.lock_owner.owner), false);
  if (!owner) return NFS4_OK;
  std::vector<std::shared_ptr<LockState>> locks;
  {
    std::lock_guard lock(client->mutex);
    for (const auto& [id, state] : client->states) {
      auto held = std::dynamic_pointer_cast<LockState>(state);
      if (held && held->owner == owner) locks.push_back(held);
    }
  }
  auto may_go = [](const LockState& held) {
    return FileTable::HoldsRanges(held) ? NFS4ERR_LOCKS_HELD : NFS4_OK;
  };
  for (const auto& held : locks) {
    std::lock_guard lock(held->file->mutex);
    NFS_TRY(may_go(*held));
  }
  for (const auto& held : locks) {
    NFS_TRY(c.services.files.CloseIf([&] { return may_go(*held); }, held,
                                     c.services.clock.Monotonic()));
  }
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
