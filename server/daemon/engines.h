// The storage engines that --engine can name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "server/vfs/file_system.h"

namespace tarn::daemon {

inline constexpr uint32_t kEngineFiles = 4096;  // chunk files kept open, at most

// Errors have no flag in them yet. `files_open` bounds the chunk files kept open.
Result<std::unique_ptr<vfs::Engine>> OpenEngine(const std::string& name,
                                                const std::string& data_dir, uint32_t files_open,
                                                const Clock& clock);

}  // namespace tarn::daemon
