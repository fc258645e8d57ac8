#include "common/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tarn {
namespace {

constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  Buffer terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  IpAddress address;
  if (inet_pton(AF_INET, terminated.data(), address.bytes_.data() + kMapped.size()) == 1) {
    std::copy(kMapped.begin(), kMapped.end(), address.bytes_.begin());
    return address;
  }
  if (inet_pton(AF_INET6, terminated.data(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::Of(const sockaddr& address) {
  IpAddress result;
  if (address.sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    std::copy(kMapped.begin(), kMapped.end(), result.bytes_.begin());
    std::memcpy(result.bytes_.data() + kMapped.size(), &v4.sin_addr, sizeof v4.sin_addr);
    return result;
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    std::memcpy(result.bytes_.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    return result;
  }
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin());
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[12] == 169 && bytes_[13] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string_view IpAddress::Write(Buffer& buffer) const {
  const void* from = is_v4() ? bytes_.data() + kMapped.size() : bytes_.data();
  const char* text = inet_ntop(is_v4() ? AF_INET : AF_INET6, from, buffer.data(), buffer.size());
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::optional<IpRange> IpRange::Parse(std::string_view text) {
  size_t slash = text.find('/');
  auto first = IpAddress::Parse(text.substr(0, slash));
  if (!first) return std::nullopt;
  // An IPv6 range may reach into the mapped addresses: "::ffff:10.0.0.0/104".
  bool dotted = text.substr(0, slash).find(':') == text.npos;
  int max = dotted ? 32 : 128;
  int bits = max;
  if (slash != text.npos) {
    std::string_view digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole || digits.front() == '-' || bits > max) return std::nullopt;
  }
  IpRange range;
  range.first_ = *first;
  range.bits_ = dotted ? bits + kMappedBits : bits;
  return range;
}

IpRange IpRange::Of(const IpAddress& address) {
  IpRange range;
  range.first_ = address;
  range.bits_ = static_cast<int>(address.bytes().size()) * 8;
  return range;
}

bool IpRange::Contains(const IpAddress& address) const {
  // "::/0" is all of IPv6, and nothing of IPv4.
  bool of_v4 = first_.is_v4() && bits_ >= kMappedBits;
  if (of_v4 != address.is_v4()) return false;
  const auto& a = first_.bytes();
  const auto& b = address.bytes();
  size_t whole = static_cast<size_t>(bits_) / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<ptrdiff_t>(whole), b.begin())) return false;
  int rest = bits_ % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

}  // namespace tarn
