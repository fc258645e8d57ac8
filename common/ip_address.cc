#include "common/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

namespace tarn {
namespace {

constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;
constexpr int kAllBits = 128;

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

IpAddress IpAddress::Masked(int bits) const {
  IpAddress masked = *this;
  for (size_t i = 0; i < bytes_.size(); ++i) {
    int keep = std::clamp(bits - static_cast<int>(i) * 8, 0, 8);
    masked.bytes_[i] &= static_cast<uint8_t>(0xff00 >> keep);
  }
  return masked;
}

std::string_view IpAddress::Write(Buffer& buffer) const {
  const void* from = is_v4() ? bytes_.data() + kMapped.size() : bytes_.data();
  const char* text = inet_ntop(is_v4() ? AF_INET : AF_INET6, from, buffer.data(), buffer.size());
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::string HostOf(const std::string& address) {
  constexpr int kNetworkBits = 64;
  auto ip = IpAddress::Parse(address);
  if (!ip || ip->is_v4()) return address;
  IpAddress::Buffer buffer;
  return std::string(ip->Masked(kNetworkBits).Write(buffer)) + "/64";
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

// "::/0" is all of IPv6, and nothing of IPv4.
bool IpRange::of_v4() const {
  return first_.is_v4() && bits_ >= kMappedBits;
}

IpRange IpRange::Of(const IpAddress& address) {
  IpRange range;
  range.first_ = address;
  range.bits_ = kAllBits;
  return range;
}

bool IpRange::Contains(const IpAddress& address) const {
  if (of_v4() != address.is_v4()) return false;
  const auto& a = first_.bytes();
  const auto& b = address.bytes();
  size_t whole = static_cast<size_t>(bits_) / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<ptrdiff_t>(whole), b.begin())) return false;
  int rest = bits_ % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool IpRange::Contains(const IpRange& other) const {
  return bits_ <= other.bits_ && of_v4() == other.of_v4() && Contains(other.first_);
}

std::string IpRange::Text() const {
  IpAddress::Buffer buffer;
  std::string text(first_.Write(buffer));
  if (bits_ == kAllBits) return text;
  return text + "/" + std::to_string(of_v4() ? bits_ - kMappedBits : bits_);
}

std::optional<IpRange> IpRange::With(const IpRange& other) const {
  int shortest = of_v4() ? kMappedBits : 0;
  if (bits_ != other.bits_ || of_v4() != other.of_v4() || bits_ == shortest) return std::nullopt;
  IpRange both = *this;
  both.bits_ = bits_ - 1;
  if (!both.Contains(other.first_)) return std::nullopt;
  return both;
}

std::vector<IpRange> IpRange::Merged(std::vector<IpRange> ranges) {
  // Without the bits behind the prefix, a range sorts right before all that it contains.
  for (IpRange& range : ranges) range.first_ = range.first_.Masked(range.bits_);
  std::sort(ranges.begin(), ranges.end(), [](const IpRange& a, const IpRange& b) {
    if (a.of_v4() != b.of_v4()) return a.of_v4();
    return std::tie(a.first_.bytes(), a.bits_) < std::tie(b.first_.bytes(), b.bits_);
  });
  std::vector<IpRange> merged;
  for (IpRange range : ranges) {
    if (!merged.empty() && merged.back().Contains(range)) continue;
    while (!merged.empty()) {
      auto both = merged.back().With(range);
      if (!both) break;
      range = *both;
      merged.pop_back();
    }
    merged.push_back(range);
  }
  return merged;
}

}  // namespace tarn
