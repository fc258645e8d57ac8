#include "operator/quantity.h"

#include <array>
#include <cmath>
#include <string_view>

namespace tarn::op {
namespace {

// A long double holds 64 bits exactly, enough for every whole number of bytes here.
struct Suffix {
  std::string_view text;
  long double factor;
};
constexpr long double kKi = 1024.0L;
constexpr std::array<Suffix, 15> kSuffixes{{
    {"Ki", kKi},
    {"Mi", kKi* kKi},
    {"Gi", kKi* kKi* kKi},
    {"Ti", kKi* kKi* kKi* kKi},
    {"Pi", kKi* kKi* kKi* kKi* kKi},
    {"Ei", kKi* kKi* kKi* kKi* kKi* kKi},
    {"k", 1e3L},
    {"M", 1e6L},
    {"G", 1e9L},
    {"T", 1e12L},
    {"P", 1e15L},
    {"E", 1e18L},
    {"m", 1e-3L},
    {"u", 1e-6L},
    {"n", 1e-9L},
}};

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// "e9", "E+9": a decimal exponent; false if it is none.
bool Exponent(std::string_view text, long double& factor) {
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  text.remove_prefix(1);
  bool minus = text[0] == '-';
  if (minus || text[0] == '+') text.remove_prefix(1);
  if (text.empty() || text.size() > 2) return false;
  int exponent = 0;
  for (char c : text) {
    if (!IsDigit(c)) return false;
    exponent = exponent * 10 + (c - '0');
  }
  factor = std::pow(10.0L, static_cast<long double>(minus ? -exponent : exponent));
  return true;
}

}  // namespace

Result<uint64_t> ParseQuantity(const std::string& field, const std::string& text) {
  Error bad(Code::kInvalid, field + ": '" + text + "' is no quantity; write one such as 10Gi");
  std::string_view rest = text;
  long double number = 0, place = 1;
  bool digits = false, point = false;
  while (!rest.empty() && (IsDigit(rest[0]) || (rest[0] == '.' && !point))) {
    if (rest[0] == '.') {
      point = true;
    } else {
      digits = true;
      if (point) place /= 10;
      number = point ? number + place * static_cast<long double>(rest[0] - '0')
                     : number * 10 + static_cast<long double>(rest[0] - '0');
    }
    rest.remove_prefix(1);
  }
  if (!digits) return bad;
  long double factor = 1;
  if (!rest.empty() && !Exponent(rest, factor)) {
    bool known = false;
    for (const Suffix& s : kSuffixes) {
      if (s.text != rest) continue;
      factor = s.factor;
      known = true;
    }
    if (!known) return bad;
  }
  // Fractions are sums of tenths, each a little off; a billionth does not count.
  long double value = std::ceil(number * factor - 1e-9L);
  if (!(value < 9223372036854775808.0L)) return bad;
  return static_cast<uint64_t>(value < 0 ? 0 : value);
}

}  // namespace tarn::op
