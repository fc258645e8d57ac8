// SECINFO and SECINFO_NO_NAME (RFC 8881 sections 18.29 and 18.45): AUTH_SYS, and AUTH_NONE as
// nobody.
#include "server/nfs4/names.h"
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 Answer(Compound& c) {
  // In 4.1 the current file is consumed (RFC 8881 section 2.6.3.1.1.8).
  if (c.minor >= 1) c.SetCurrent(CurrentFile());
  c.to.Put(uint32_t{2});
  Encode(c.to, secinfo4{.flavor = static_cast<uint32_t>(rpc::AUTH_SYS), .flavor_info = {}});
  Encode(c.to, secinfo4{.flavor = static_cast<uint32_t>(rpc::AUTH_NONE), .flavor_info = {}});
  return NFS4_OK;
}

}  // namespace

nfsstat4 SecInfo(Compound& c, const SECINFO4args& args) {
  NFS_TRY(CheckDirectory(c));
  NFS_TRY(CheckComponent(args.name));
  std::shared_ptr<const Export> entered;
  NFS_TRY(FindAccessPoint(c, args.name, entered));
  if (!entered) NFS_TRY(ToStatus(c.engine().Lookup(c.caller(), c.current.id, args.name)));
  return Answer(c);
}

nfsstat4 SecInfoNoName(Compound& c, const SECINFO_NO_NAME4args& args) {
  if (args.style == SECINFO_STYLE4_PARENT) {
    if (c.current.id == c.exported().root) return NFS4ERR_NOENT;
    NFS_TRY(ToStatus(c.engine().LookupParent(c.caller(), c.current.id)));
  } else if (args.style != SECINFO_STYLE4_CURRENT_FH) {
    return NFS4ERR_INVAL;
  }
  return Answer(c);
}

}  // namespace tarn::nfs4::ops
