#include "server/engine/local/crc32c.h"

#include <isa-l/crc.h>

namespace tarn::local {

uint32_t Crc32c(std::span<const std::byte> data) {
  // The library neither changes the bytes nor takes them as const.
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(data.data()));
  return ~crc32_iscsi(bytes, static_cast<int>(data.size()), ~0u);
}

}  // namespace tarn::local
