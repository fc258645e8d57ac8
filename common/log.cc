#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <memory>

#include "common/text.h"

namespace tarn {
namespace {

constexpr char kOneLine = '*';

// The message, with control characters as \xNN: text of a stranger can neither begin a line that
// looks like one of ours, nor speak to the terminal of who reads it.
class OneLine : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& to) override {
    const char* at = message.payload.data();
    const char* end = at + message.payload.size();
    while (at != end) {
      const char* control = std::find_if(at, end, IsControl);
      to.append(at, control);
      at = control;
      if (at != end) fmt::format_to(std::back_inserter(to), "\\x{:02x}", *at++);
    }
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<OneLine>();
  }
};

}  // namespace

Result<void> StartLogging(const std::string& program, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    return Error(Code::kInvalid,
                 "log level '" + level + "': use trace, debug, info, warn or error");
  }
  auto logger = spdlog::stderr_logger_mt(program);
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<OneLine>(kOneLine).set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %n[%P] %l %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
  return Ok();
}

}  // namespace tarn
