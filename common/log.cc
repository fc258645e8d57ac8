#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>

namespace tarn {

Result<void> StartLogging(const std::string& program, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    return Error(Code::kInvalid,
                 "log level '" + level + "': use trace, debug, info, warn or error");
  }
  auto logger = spdlog::stderr_logger_mt(program);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %n[%P] %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
  return Ok();
}

}  // namespace tarn
