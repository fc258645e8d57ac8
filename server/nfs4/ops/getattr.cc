// GETATTR (RFC 8881 section 18.7).
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

// Another client may have changed the file under a write delegation: that is taken back before its
// attributes are told (RFC 8881 section 10.4.3 leaves CB_GETATTR to the server). 4.0 does not say
// who asks, so a call from the holder's address is taken for the holder's.
nfsstat4 CheckHolder(Compound& c) {
  if (c.services.files.write_delegations() == 0) return NFS4_OK;
  if (c.minor >= 1) return c.RecallWrites();
  auto held = c.services.files.InTheWay(KeyOf(c.current), nullptr, false);
  std::erase_if(held, [&](const auto& one) { return one->granted_to == c.call.peer.address; });
  return held.empty() ? NFS4_OK : c.services.delegations.Recall(held);
}

}  // namespace

nfsstat4 GetAttr(Compound& c, const GETATTR4args& args) {
  const auto& wanted = args.attr_request;
  if (AsksForWriteOnly(wanted & SupportedAttributes(c.minor))) return NFS4ERR_INVAL;
  NFS_TRY(CheckHolder(c));
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  std::optional<vfs::SpaceInfo> space;
  return PutAttributes(c, c.to, wanted, c.current, file, space);
}

}  // namespace tarn::nfs4::ops
