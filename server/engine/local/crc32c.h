// CRC32C (RFC 3720 B.4), with the processor's instructions where it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tarn::local {

uint32_t Crc32c(std::span<const std::byte> data);

}  // namespace tarn::local
