// Where audit lines go: JSON, one line an event, as
//
//   {"time":"2026-11-27T15:04:05.678Z","audit":"Mount","result":"denied","layer":"policy",…}
//
// By themselves they are part of the process's log. With a file of their own, which only the
// server's user can read, they are there alone; it is rotated by size, so that it never grows
// beyond kFileBytes * (kFiles + 1).
//
// Threads: any. Writing never fails and never waits for more than a write to the page cache.
#pragma once

#include <spdlog/common.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/result.h"

namespace tarn::audit {

inline constexpr size_t kFileBytes = 32 << 20;
inline constexpr size_t kFiles = 8;  // that were rotated out and are kept: NAME.1.log … NAME.8.log

// From now on lines go to that file (absolute, its directory must be there); once, at the start of
// the process. kInvalid, kIo.
Result<void> OpenFile(const std::string& path);

// A level below the log's is dropped; in a file of their own lines of every level from info on are
// kept. Text that is no UTF-8 is replaced.
bool Wanted(spdlog::level::level_enum level);
void Write(spdlog::level::level_enum level, const nlohmann::ordered_json& line);

}  // namespace tarn::audit
