#include "server/nfs4/names.h"

#include "server/vfs/types.h"

namespace tarn::nfs4 {
namespace {

// The length of the sequence that begins with this byte, 0 for one that begins none, and the least
// code point that needs so many bytes.
int SequenceLength(unsigned char first, uint32_t& least, uint32_t& point) {
  if (first < 0x80) return least = 0, point = first, 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return least = 0x80, point = first & 0x1fU, 2;
  if (first < 0xf0) return least = 0x800, point = first & 0x0fU, 3;
  if (first < 0xf5) return least = 0x10000, point = first & 0x07U, 4;
  return 0;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    uint32_t least = 0;
    uint32_t point = 0;
    int length = SequenceLength(static_cast<unsigned char>(text[at]), least, point);
    if (length == 0 || at + static_cast<size_t>(length) > text.size()) return false;
    for (int i = 1; i < length; ++i) {
      auto next = static_cast<unsigned char>(text[at + static_cast<size_t>(i)]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fU);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

nfsstat4 CheckComponent(std::string_view name) {
  if (name.empty()) return NFS4ERR_INVAL;
  if (name.size() > vfs::kNameBytesMax) return NFS4ERR_NAMETOOLONG;
  if (name == "." || name == "..") return NFS4ERR_BADNAME;
  if (name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return NFS4ERR_BADCHAR;
  }
  return NFS4_OK;
}

}  // namespace tarn::nfs4
