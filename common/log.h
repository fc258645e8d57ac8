// Logging: spdlog to stderr, one line an event: control characters in it come out as \xNN. Use it
// as spdlog::info("mount target {} listens", id).
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "common/result.h"

namespace tarn {

// Call once at the start of main. `level`: trace, debug, info, warn, error (else kInvalid).
Result<void> StartLogging(const std::string& program, const std::string& level);

}  // namespace tarn
