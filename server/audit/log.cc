#include "server/audit/log.h"

#include <fcntl.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

namespace tarn::audit {
namespace {

constexpr char kLogger[] = "audit";

std::string Text(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<void> OpenFile(const std::string& path) {
  if (!path.starts_with('/')) {
    return Error(Code::kInvalid, "audit log '" + path + "': write an absolute path");
  }
  // Made here first: spdlog would make it readable by others. What is rotated out keeps its mode.
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Error(Code::kIo, path + ": " + std::strerror(errno));
  close(fd);
  spdlog::file_event_handlers events;
  events.after_open = [](const spdlog::filename_t& /*name*/, std::FILE* file) {
    fchmod(fileno(file), 0600);
  };
  try {
    auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kFileBytes, kFiles,
                                                                       false, events);
    auto logger = std::make_shared<spdlog::logger>(kLogger, std::move(sink));
    // The line without its first brace comes behind the time.
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)", spdlog::pattern_time_type::utc);
    logger->flush_on(spdlog::level::info);
    spdlog::register_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& error) {
    return Error(Code::kIo, path + ": " + error.what());
  }
  return Ok();
}

bool Wanted(spdlog::level::level_enum level) {
  return level >= spdlog::level::info || spdlog::should_log(level);
}

void Write(spdlog::level::level_enum level, const nlohmann::ordered_json& line) {
  auto own = spdlog::get(kLogger);
  if (!own || level < spdlog::level::info) return spdlog::log(level, "{}", Text(line));
  own->log(level, "{}", std::string_view(Text(line)).substr(1));
}

}  // namespace tarn::audit
