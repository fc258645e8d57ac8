// IP addresses and ranges of them (RFC 4632, RFC 4291), without names and ports.
//
// An IPv4 address and the same one mapped into IPv6 (::ffff:a.b.c.d), as a socket that takes both
// families shows it, are one address. Values; no I/O, no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace tarn {

class IpAddress {
 public:
  // The text of an address, and no more than that; nullopt: it is none.
  static std::optional<IpAddress> Parse(std::string_view text);
  // Of a socket's peer; nullopt: neither AF_INET nor AF_INET6.
  static std::optional<IpAddress> Of(const sockaddr& address);

  bool is_v4() const;
  bool is_link_local() const;  // 169.254.0.0/16, fe80::/10
  // 16 bytes in network order, an IPv4 address as ::ffff:a.b.c.d.
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }

  // With zeros behind the first `bits` of the 128.
  IpAddress Masked(int bits) const;

  // Enough for the text of any address.
  using Buffer = std::array<char, 48>;
  // Its usual text (RFC 5952), which lies in `buffer`.
  std::string_view Write(Buffer& buffer) const;

  bool operator==(const IpAddress&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

// The addresses that one host has, for counting hosts: an IPv4 address is one, all of an IPv6 /64
// are one together. Of what is no address, itself.
std::string HostOf(const std::string& address);

// All addresses of one family that begin with the same bits.
class IpRange {
 public:
  // "10.0.0.0/8", "fd00::/8", or one address. Bits behind the prefix are ignored.
  static std::optional<IpRange> Parse(std::string_view text);
  static IpRange Of(const IpAddress& address);  // that one alone
  bool Contains(const IpAddress& address) const;
  bool Contains(const IpRange& other) const;
  // "10.0.0.0/8"; of one address without a prefix.
  std::string Text() const;

  // The fewest ranges that hold exactly the same addresses, in order.
  static std::vector<IpRange> Merged(std::vector<IpRange> ranges);

 private:
  bool of_v4() const;
  // The range of both, if they are its two halves, of which this is the first.
  std::optional<IpRange> With(const IpRange& other) const;

  IpAddress first_;
  int bits_ = 0;  // of the 128
};

}  // namespace tarn
