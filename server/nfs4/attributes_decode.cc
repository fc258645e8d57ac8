#include <bit>
#include <charconv>

#include "server/nfs4/attributes.h"

namespace tarn::nfs4 {
namespace {

using xdr::Bitmap;

// Of a file that is there.
constexpr Bitmap kSettable = {
    FATTR4_SIZE,           FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_TIME_ACCESS_SET,
    FATTR4_TIME_MODIFY_SET};
constexpr uint32_t kUmaskMax = 0777;
constexpr uint32_t kNanosecondsMax = 999'999'999;
constexpr uint32_t kOwnerBytesMax = 1024;

nfsstat4 GetTime(xdr::Decoder& from, std::optional<vfs::Time>& time, bool& now) {
  settime4 set;
  if (!Decode(from, set)) return NFS4ERR_BADXDR;
  if (set.set_it == SET_TO_SERVER_TIME4) {
    now = true;
    return NFS4_OK;
  }
  if (set.set_it != SET_TO_CLIENT_TIME4) return NFS4ERR_BADXDR;
  if (set.time.nseconds > kNanosecondsMax) return NFS4ERR_INVAL;
  time = vfs::Time{.seconds = set.time.seconds, .nanoseconds = set.time.nseconds};
  return NFS4_OK;
}

nfsstat4 GetOwner(xdr::Decoder& from, std::optional<uint32_t>& id) {
  std::string_view text;
  if (!from.GetString(text, kOwnerBytesMax)) return NFS4ERR_BADXDR;
  if (text.empty()) return NFS4ERR_INVAL;
  id = ParseOwner(text);
  return id ? NFS4_OK : NFS4ERR_BADOWNER;
}

// The mode of a new file as its program asked for it, and the program's umask. There are no default
// ACLs, which would take the umask's place.
nfsstat4 GetModeUmask(xdr::Decoder& from, std::optional<uint32_t>& mode) {
  mode_umask4 both;
  if (!Decode(from, both)) return NFS4ERR_BADXDR;
  if (both.mu_mode > 07777 || both.mu_umask > kUmaskMax) return NFS4ERR_INVAL;
  mode = both.mu_mode & ~both.mu_umask;
  return NFS4_OK;
}

nfsstat4 GetOne(xdr::Decoder& from, uint32_t attribute, vfs::AttributeChange& change) {
  switch (attribute) {
    case FATTR4_SIZE:
      return from.Get(change.size.emplace()) ? NFS4_OK : NFS4ERR_BADXDR;
    case FATTR4_MODE:
      if (!from.Get(change.mode.emplace())) return NFS4ERR_BADXDR;
      return *change.mode <= 07777 ? NFS4_OK : NFS4ERR_INVAL;
    case FATTR4_MODE_UMASK:
      return GetModeUmask(from, change.mode);
    case FATTR4_OWNER:
      return GetOwner(from, change.uid);
    case FATTR4_OWNER_GROUP:
      return GetOwner(from, change.gid);
    case FATTR4_TIME_ACCESS_SET:
      return GetTime(from, change.access_time, change.access_time_now);
    default:
      return GetTime(from, change.modify_time, change.modify_time_now);
  }
}

}  // namespace

std::optional<uint32_t> ParseOwner(std::string_view text) {
  text = text.substr(0, text.find('@'));
  if (text == "root") return 0;
  if (text == "nobody") return 65534;
  uint32_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return id;
}

nfsstat4 DecodeAttributeChange(const fattr4& from, uint32_t minor, SetBy by,
                               vfs::AttributeChange& change) {
  if (!from.attrmask.In(SupportedAttributes(minor))) return NFS4ERR_ATTRNOTSUPP;
  Bitmap settable = kSettable;
  if (by == SetBy::kCreation) settable.Set(FATTR4_MODE_UMASK);
  if (!from.attrmask.In(settable)) return NFS4ERR_INVAL;
  bool both = from.attrmask.Has(FATTR4_MODE) && from.attrmask.Has(FATTR4_MODE_UMASK);
  if (both) return NFS4ERR_INVAL;
  xdr::Decoder values(from.attr_vals);
  for (uint32_t i = 0; i < Bitmap::kWords; ++i) {
    for (uint32_t word = from.attrmask.words[i]; word != 0; word &= word - 1) {
      uint32_t attribute = i * 32 + static_cast<uint32_t>(std::countr_zero(word));
      if (nfsstat4 status = GetOne(values, attribute, change); status != NFS4_OK) return status;
    }
  }
  return values.remaining() == 0 ? NFS4_OK : NFS4ERR_BADXDR;
}

}  // namespace tarn::nfs4
