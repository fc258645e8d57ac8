// Small files, read and written whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn {

inline constexpr size_t kSmallFileBytesMax = 1u << 20;

// kNoEntry: it cannot be read. kFileTooBig: it is larger than kSmallFileBytesMax.
Result<std::string> ReadSmallFile(const std::string& path);
// Readers see the old file or the new one, whole. `mode`: its permissions, such as 0644. Not for
// two writers at once. kInternal: it cannot be written.
Result<void> ReplaceFile(const std::string& path, std::string_view text, unsigned mode);

}  // namespace tarn
