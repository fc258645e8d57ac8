// LISTXATTRS (RFC 8276 section 8.4.3).
#include "server/nfs4/ops/xattrs.h"

namespace tarn::nfs4::ops {
namespace {

// Of LISTXATTRS4resok without names: cookie, count, eof.
constexpr uint32_t kHeadBytes = 16;

}  // namespace

nfsstat4 ListXattrs(Compound& c, const LISTXATTRS4args& args) {
  NFS_TRY(CheckHasXattrs(c));
  if (args.lxa_maxcount < kHeadBytes) return NFS4ERR_TOOSMALL;
  NFS_TRY(c.RecallWrites());
  size_t room = args.lxa_maxcount - kHeadBytes;
  LISTXATTRS4resok ok{.lxr_cookie = args.lxa_cookie, .lxr_names = {}, .lxr_eof = false};
  std::vector<std::string> names;
  auto listed = c.engine().ListXattrs(c.caller(), c.current.id, args.lxa_cookie,
                                      [&](uint64_t cookie, std::string_view name) {
                                        size_t needed = sizeof(uint32_t) + xdr::Padded(name.size());
                                        if (needed > room) return false;
                                        room -= needed;
                                        names.emplace_back(name);
                                        ok.lxr_cookie = cookie;
                                        return true;
                                      });
  if (!listed.ok()) return ToStatus(listed);
  ok.lxr_eof = *listed;
  if (names.empty() && !ok.lxr_eof) return NFS4ERR_TOOSMALL;
  ok.lxr_names.assign(names.begin(), names.end());
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
