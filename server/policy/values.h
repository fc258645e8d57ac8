// The values that condition operators compare with, from their text. Errors say what is right; they
// have no path.
#pragma once

#include <string_view>

#include "common/ip_address.h"
#include "common/result.h"

namespace tarn::policy {

// "true" or "false", in any case.
Result<bool> ParseBool(std::string_view text);
// A decimal number, finite.
Result<double> ParseNumber(std::string_view text);
// Seconds since 1970, of that number, or of a date of ISO 8601: 2026-11-27, 2026-11-27T15:04Z,
// 2026-11-27T15:04:05Z, …05.25+01:00.
Result<double> ParseDate(std::string_view text);
Result<IpRange> ParseRange(std::string_view text);

}  // namespace tarn::policy
