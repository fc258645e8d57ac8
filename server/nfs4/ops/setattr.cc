// SETATTR (RFC 8881 section 18.30). The bitmap of what was set follows the status in any case.
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 Apply(Compound& c, const SETATTR4args& args) {
  vfs::AttributeChange change;
  const Client* by = nullptr;
  NFS_TRY(DecodeAttributeChange(args.obj_attributes, c.minor, SetBy::kSetAttr, change));
  if (change.size) {
    bool opened = false;
    vfs::Attributes file;
    NFS_TRY(c.Attributes(file));
    if (file.type == vfs::FileType::kDirectory) return NFS4ERR_ISDIR;
    if (file.type != vfs::FileType::kRegular) return NFS4ERR_INVAL;
    NFS_TRY(c.CheckIo(args.stateid, false, true, opened));
    change.opened_for_write = opened;
  }
  if (SpecialOf(args.stateid) == SpecialStateid::kNone) {
    // It says who this is, in 4.0 too. Without a size its sequence does not matter, but it must be
    // one (and renews the lease in 4.0).
    std::shared_ptr<State> state;
    NFS_TRY(c.FindNamed(args.stateid, state));
    by = state->client.get();
  }
  NFS_TRY(c.BeginChange(c.current, by));
  auto set = [&] { return c.engine().SetAttributes(c.caller(), c.current.id, change); };
  auto changed = AllowOwner(c, set(), change.opened_for_write || !change.size, [&] {
    change.opened_for_write = true;
    return set();
  });
  if (!changed.ok()) return ToStatus(changed);
  c.fresh = *std::move(changed);
  return NFS4_OK;
}

}  // namespace

nfsstat4 SetAttr(Compound& c, const SETATTR4args& args) {
  nfsstat4 status = Apply(c, args);
  c.keep_body = true;
  Encode(c.to, status == NFS4_OK ? args.obj_attributes.attrmask : xdr::Bitmap());
  return status;
}

}  // namespace tarn::nfs4::ops
