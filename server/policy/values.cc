#include "server/policy/values.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <string>

#include "server/policy/keys.h"

namespace tarn::policy {
namespace {

Error Bad(std::string_view value, std::string_view what) {
  std::string message = "'";
  return Error(Code::kInvalid, message.append(value).append("' ").append(what));
}

// Takes exactly `digits` digits from the front; -1: there are fewer.
int TakeDigits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return -1;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// ".25"; nothing is 0.
bool TakeFraction(std::string_view& text, double& value) {
  if (!TakeChar(text, '.')) return true;
  size_t digits = 0;
  for (double unit = 0.1; !text.empty() && text[0] >= '0' && text[0] <= '9'; unit /= 10) {
    value += unit * (text[0] - '0');
    text.remove_prefix(1);
    ++digits;
  }
  return digits > 0;
}

// "Z" or "+01:00", as seconds to subtract.
bool TakeZone(std::string_view& text, int& seconds) {
  if (TakeChar(text, 'Z')) return true;
  int sign = TakeChar(text, '+') ? 1 : TakeChar(text, '-') ? -1 : 0;
  if (sign == 0) return false;
  int hours = TakeDigits(text, 2);
  bool colon = TakeChar(text, ':');
  int minutes = TakeDigits(text, 2);
  if (hours < 0 || hours > 23 || !colon || minutes < 0 || minutes > 59) return false;
  seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

// "T15:04:05.25+01:00", as seconds after midnight in UTC.
bool TakeTime(std::string_view& text, double& seconds) {
  if (!TakeChar(text, 'T')) return false;
  int hour = TakeDigits(text, 2);
  bool colon = TakeChar(text, ':');
  int minute = TakeDigits(text, 2);
  if (hour < 0 || hour > 23 || !colon || minute < 0 || minute > 59) return false;
  double second = 0;
  if (TakeChar(text, ':')) {
    second = TakeDigits(text, 2);
    if (second < 0 || second > 59 || !TakeFraction(text, second)) return false;
  }
  int zone = 0;
  if (!TakeZone(text, zone)) return false;
  seconds = hour * 3600 + minute * 60 + second - zone;
  return true;
}

}  // namespace

Result<bool> ParseBool(std::string_view text) {
  if (EqualIgnoringCase(text, "true")) return true;
  if (EqualIgnoringCase(text, "false")) return false;
  return Bad(text, "is neither true nor false");
}

Result<double> ParseNumber(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return Bad(text, "is no number");
  }
  return value;
}

Result<double> ParseDate(std::string_view text) {
  if (auto seconds = ParseNumber(text); seconds.ok()) return seconds;
  std::string_view rest = text;
  int year = TakeDigits(rest, 4);
  bool dash = TakeChar(rest, '-');
  int month = TakeDigits(rest, 2);
  bool dash2 = TakeChar(rest, '-');
  int day = TakeDigits(rest, 2);
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  double seconds = 0;
  bool good = year >= 0 && dash && month >= 0 && dash2 && day >= 0 && date.ok() &&
              (rest.empty() || (TakeTime(rest, seconds) && rest.empty()));
  if (!good) {
    return Bad(text, "is no date: write 2026-11-27T15:04:05Z, 2026-11-27, or seconds since 1970");
  }
  auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days) * 86'400 + seconds;
}

Result<IpRange> ParseRange(std::string_view text) {
  auto range = IpRange::Parse(text);
  if (!range)
    return Bad(text, "is neither an IP address nor a range such as 10.0.0.0/8 or fd00::/8");
  return *range;
}

}  // namespace tarn::policy
