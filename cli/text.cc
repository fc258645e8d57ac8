#include "cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace tarn::cli {
namespace {

constexpr std::array<std::string_view, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

bool IsNumber(const std::string& cell) {
  return !cell.empty() && cell.front() >= '0' && cell.front() <= '9' && cell.size() < 12 &&
         cell.find('-') == std::string::npos && cell.find(':') == std::string::npos;
}

// UTF-8 characters: what a terminal shows as one column, nearly always.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Control characters in names would draw on the terminal.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths(rows_[0].size());
  std::vector<bool> right(rows_[0].size(), rows_.size() > 1);
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t c = 0; c < widths.size(); ++c) {
      widths[c] = std::max(widths[c], Width(rows_[r][c]));
      if (r > 0 && rows_[r][c] != "-" && !IsNumber(rows_[r][c])) right[c] = false;
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      std::string padding(widths[c] - Width(row[c]), ' ');
      std::string cell = Printable(row[c]);
      line += (c == 0 ? "" : "  ") + (right[c] ? padding + cell : cell + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

void PrintFacts(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& facts) {
  size_t width = 0;
  for (const auto& [key, value] : facts) width = std::max(width, Width(key));
  for (const auto& [key, value] : facts) {
    out << key << ":" << std::string(width - Width(key) + 2, ' ') << OrDash(Printable(value))
        << "\n";
  }
}

std::string Bytes(uint64_t bytes) {
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  bool whole = unit == 0 || value == std::floor(value);
  std::snprintf(text, sizeof text, whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit].data());
  return text;
}

std::string Limit(uint64_t bytes) {
  return bytes == 0 ? "none" : Bytes(bytes);
}

std::string Moment(int64_t seconds) {
  if (seconds == 0) return "";
  time_t time = seconds;
  tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

std::string OrDash(std::string text) {
  return text.empty() ? "-" : text;
}

Result<uint64_t> ParseBytes(std::string_view flag, std::string_view text) {
  if (text == "none" || text == "0") return uint64_t{0};
  double value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (failed == std::errc() && value > 0) {
    for (size_t i = 0; i < kUnits.size(); ++i) {
      std::string_view name = kUnits[i];
      bool matches =
          unit == name || (i > 0 && unit == name.substr(0, 1)) || (i == 0 && unit.empty());
      double bytes = value * std::pow(1024.0, static_cast<double>(i));
      if (matches && bytes >= 1 && bytes < 9.2e18) return static_cast<uint64_t>(bytes);
    }
  }
  return Error(Code::kInvalid, std::string(flag) + " '" + std::string(text) +
                                   "': write bytes, or a size such as 10GiB, 512M, or none");
}

Result<std::pair<std::string, std::string>> ParseTag(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Error(Code::kInvalid, "tag '" + std::string(text) + "': write KEY=VALUE");
  }
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Result<std::pair<uint32_t, uint32_t>> ParsePair(std::string_view flag, std::string_view text,
                                                char separator) {
  std::pair<uint32_t, uint32_t> numbers;
  const char* last = text.data() + text.size();
  auto first = std::from_chars(text.data(), last, numbers.first);
  if (first.ec == std::errc() && first.ptr != last && *first.ptr == separator) {
    auto second = std::from_chars(first.ptr + 1, last, numbers.second);
    if (second.ec == std::errc() && second.ptr == last) return numbers;
  }
  return Error(Code::kInvalid, std::string(flag) + " '" + std::string(text) +
                                   "': write two numbers with " + separator + " between");
}

}  // namespace tarn::cli
