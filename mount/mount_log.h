// The helper's log file: what mounts said, for who reads it after the boot. Mode 0600; at 1 MiB it
// is renamed to "FILE.1", in place of the one before. Several processes write it.
#pragma once

#include <cstddef>
#include <string>

namespace tarn::mount {

inline constexpr size_t kLogBytesMax = 1u << 20;

// From here on everything that is logged goes there (and nowhere, when that is not possible).
void LogToFile(const std::string& program, const std::string& file);

}  // namespace tarn::mount
