// The format of RocksDB's logs and of its MANIFEST: blocks of 32 KiB; a record lies in one of them
// or is in parts; what is too short for a part's header at the end of a block stays empty. A part:
// masked CRC32C of what follows the length (4 bytes), length of the payload (2), type (1), payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/engine/local/crc32c.h"

namespace tarn::local {

inline constexpr size_t kLogBlock = 32 << 10;
inline constexpr size_t kPartHeader = 7;
enum PartType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

// Of a part's type and payload.
inline uint32_t MaskedCrc(std::span<const std::byte> data) {
  uint32_t crc = Crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

}  // namespace tarn::local
