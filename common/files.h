// Small files, read whole.
#pragma once

#include <cstddef>
#include <string>

#include "common/result.h"

namespace tarn {

inline constexpr size_t kSmallFileBytesMax = 1u << 20;

// kNoEntry: it cannot be read. kFileTooBig: it is larger than kSmallFileBytesMax.
Result<std::string> ReadSmallFile(const std::string& path);

}  // namespace tarn
