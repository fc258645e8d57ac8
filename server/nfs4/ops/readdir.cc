// READDIR (RFC 8881 section 18.23). Cookies are the engine's, which are stable, so that the cookie
// verifier never changes.
#include "server/nfs4/attributes.h"
#include "server/nfs4/ops/held_attributes.h"

namespace tarn::nfs4::ops {
namespace {

// Cookies 1 and 2 stand for "." and ".." in clients that make those up (RFC 8881 section 18.23.3).
constexpr uint64_t kReservedCookies = 2;
constexpr verifier4 kCookieVerifier = {std::byte{'t'}, std::byte{'a'}, std::byte{'r'},
                                       std::byte{'n'}, std::byte{'d'}, std::byte{'i'},
                                       std::byte{'r'}, std::byte{1}};
// Attributes that the entry itself tells; for others each file's inode is read.
constexpr xdr::Bitmap kOfEntry = {FATTR4_TYPE,   FATTR4_FSID,         FATTR4_FILEHANDLE,
                                  FATTR4_FILEID, FATTR4_RDATTR_ERROR, FATTR4_MOUNTED_ON_FILEID};
// What maxcount counts beside the entries: verifier, end of the list, end of the directory.
constexpr size_t kFrameBytes = 16;
constexpr size_t kReplyBytesMax = 1 << 20;

struct Listing {
  Compound& c;
  const READDIR4args& args;
  const CurrentFile& directory;
  size_t room;        // for entries, of maxcount
  size_t names_room;  // for names and cookies, of dircount
  size_t start;       // size of the reply before the entries
  bool held;          // somebody may hold what is listed
  size_t names = 0;
  bool any = false;
  nfsstat4 status = NFS4_OK;
  std::optional<vfs::SpaceInfo> space;

  bool Put(const vfs::DirectoryEntry& entry) {
    xdr::Encoder::Mark before = c.to.mark();
    c.to.Put(true);
    c.to.Put(entry.cookie);
    c.to.PutString(entry.name);
    CurrentFile file{directory.exported, entry.attributes.id};
    status = held ? PutAttributes(c, c.to, args.attr_request, file,
                                  AsToldBefore(c, file, entry.attributes), space)
                  : PutAttributes(c, c.to, args.attr_request, file, entry.attributes, space);
    size_t name_bytes = 12 + xdr::Padded(entry.name.size());
    bool full = c.to.size() - start > room || (any && names + name_bytes > names_room);
    if (status != NFS4_OK || full) {
      c.to.Truncate(before);
      return false;
    }
    names += name_bytes;
    any = true;
    return true;
  }
};

}  // namespace

nfsstat4 ReadDir(Compound& c, const READDIR4args& args) {
  bool fresh_start = args.cookie == 0;
  if (!fresh_start && args.cookie <= kReservedCookies) return NFS4ERR_BAD_COOKIE;
  if (!fresh_start && args.cookieverf != kCookieVerifier) return NFS4ERR_NOT_SAME;
  const auto& wanted = args.attr_request;
  if (wanted.Has(FATTR4_TIME_ACCESS_SET) || wanted.Has(FATTR4_TIME_MODIFY_SET)) {
    return NFS4ERR_INVAL;
  }
  NFS_TRY(CheckDirectory(c));
  size_t room = std::min<size_t>(args.maxcount, kReplyBytesMax);
  if (c.session) {
    size_t limit = c.session->fore.ca_maxresponsesize;
    room = std::min(room, limit > c.to.size() + 64 ? limit - c.to.size() - 64 : 0);
  }
  if (room < kFrameBytes) return NFS4ERR_TOOSMALL;
  c.to.PutFixed(kCookieVerifier);
  Listing listing{.c = c,
                  .args = args,
                  .directory = c.current,
                  .room = room - kFrameBytes,
                  .names_room = args.dircount == 0 ? SIZE_MAX : args.dircount,
                  .start = c.to.size(),
                  .held = HoldersMatter(c, wanted),
                  .space = {}};
  bool with_attributes = !(wanted & SupportedAttributes(c.minor)).In(kOfEntry);
  auto end = c.engine().ReadDirectory(
      c.caller(), c.current.id, args.cookie, with_attributes,
      [&listing](const vfs::DirectoryEntry& entry) { return listing.Put(entry); });
  if (!end.ok()) return ToStatus(end);
  NFS_TRY(listing.status);
  if (!listing.any && !*end) return NFS4ERR_TOOSMALL;
  c.to.Put(false);
  c.to.Put(*end);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
