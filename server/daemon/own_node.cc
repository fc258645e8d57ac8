#include "server/daemon/own_node.h"

#include <net/route.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace tarn::daemon {
namespace {

// Much more than a pod has.
constexpr size_t kRouteBytesMax = 1 << 20;

std::string ReadSome(const char* path) {
  std::ifstream file(path);
  std::string text(kRouteBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::vector<std::string> Words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::optional<uint32_t> Hex(std::string_view text) {
  uint32_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool IsGateway(std::string_view flags) {
  constexpr uint32_t kWanted = RTF_UP | RTF_GATEWAY;
  auto value = Hex(flags);
  return value && (*value & kWanted) == kWanted;
}

bool IsZero(std::string_view hex) {
  return hex.find_first_not_of('0') == std::string_view::npos;
}

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...; numbers as they lie in memory.
std::optional<IpAddress> GatewayOf(const std::vector<std::string>& words) {
  if (words.size() < 8 || !IsZero(words[1]) || !IsZero(words[7]) || !IsGateway(words[3])) {
    return std::nullopt;
  }
  auto address = Hex(words[2]);
  if (!address || words[2].size() != 8) return std::nullopt;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = *address;
  return IpAddress::Of(reinterpret_cast<const sockaddr&>(v4));
}

// Destination Prefix Source Prefix NextHop Metric RefCnt Use Flags Iface.
std::optional<IpAddress> Gateway6Of(const std::vector<std::string>& words) {
  if (words.size() < 10 || !IsZero(words[0]) || !IsZero(words[1]) || !IsGateway(words[8])) {
    return std::nullopt;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (words[4].size() != 2 * sizeof(v6.sin6_addr)) return std::nullopt;
  for (size_t i = 0; i < sizeof(v6.sin6_addr); ++i) {
    auto byte = Hex(std::string_view(words[4]).substr(2 * i, 2));
    if (!byte) return std::nullopt;
    v6.sin6_addr.s6_addr[i] = static_cast<uint8_t>(*byte);
  }
  return IpAddress::Of(reinterpret_cast<const sockaddr&>(v6));
}

}  // namespace

std::vector<IpAddress> GatewaysOf(std::string_view route, std::string_view ipv6_route) {
  std::vector<IpAddress> gateways;
  auto add = [&gateways](std::string_view text, auto parse) {
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
      auto gateway = parse(Words(line));
      if (gateway && !gateway->is_link_local()) gateways.push_back(*gateway);
    }
  };
  add(route, GatewayOf);
  add(ipv6_route, Gateway6Of);
  return gateways;
}

std::vector<IpRange> ReadOwnNode() {
  std::vector<IpRange> ranges;
  for (const IpAddress& gateway :
       GatewaysOf(ReadSome("/proc/net/route"), ReadSome("/proc/net/ipv6_route"))) {
    ranges.push_back(IpRange::Of(gateway));
    IpAddress::Buffer text;
    spdlog::debug("the security group 'node' has {}", gateway.Write(text));
  }
  return ranges;
}

}  // namespace tarn::daemon
