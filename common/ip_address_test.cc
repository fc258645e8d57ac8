#include "common/ip_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <random>
#include <string>

namespace tarn {
namespace {

std::string Text(std::string_view text) {
  auto address = IpAddress::Parse(text);
  IpAddress::Buffer buffer;
  return address ? std::string(address->Write(buffer)) : "none";
}

TEST(IpAddress, TextThereAndBack) {
  EXPECT_EQ(Text("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Text("2001:DB8:0:0::1"), "2001:db8::1");
  EXPECT_EQ(Text("::"), "::");
  EXPECT_EQ(Text("::ffff:192.0.2.1"), "192.0.2.1") << "mapped: the same address";
  for (const char* bad :
       {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", "192.0.2.1/32", "fe80::1%eth0", "localhost",
        "1:2:3:4:5:6:7:8:9", "[::1]", "0x7f.0.0.1"}) {
    EXPECT_EQ(Text(bad), "none") << bad;
  }
  EXPECT_EQ(Text(std::string_view("192.0.2.1\0", 10)), "none");
  EXPECT_EQ(Text(std::string(4000, '1')), "none");
}

TEST(IpAddress, OfSockets) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0x0a000001);
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr&>(storage)), IpAddress::Parse("10.0.0.1"));
  storage = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr&>(storage)), IpAddress::Parse("::1"));
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr&>(storage)), std::nullopt);
}

TEST(IpAddress, TheHostOfAnAddress) {
  EXPECT_EQ(HostOf("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(HostOf("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
  EXPECT_EQ(HostOf("2001:db8:1:2::"), HostOf("2001:db8:1:2:ffff::1"));
  EXPECT_NE(HostOf("2001:db8:1:2::1"), HostOf("2001:db8:1:3::1"));
  EXPECT_EQ(HostOf("unix"), "unix");
}

TEST(IpRange, Contains) {
  struct Case {
    const char* range;
    const char* address;
    bool inside;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"10.1.2.3/8", "10.9.9.9", true},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.6", false},
      {"192.0.2.0/31", "192.0.2.1", true},
      {"192.0.2.0/31", "192.0.2.2", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "203.0.113.9", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"10.0.0.0/8", "::ffff:10.0.0.1", true},
      {"::ffff:10.0.0.0/104", "10.0.0.1", true},
      {"::ffff:10.0.0.0/104", "11.0.0.1", false},
      {"::1/128", "::1", true},
  };
  for (const Case& c : cases) {
    auto range = IpRange::Parse(c.range);
    ASSERT_TRUE(range) << c.range;
    EXPECT_EQ(range->Contains(*IpAddress::Parse(c.address)), c.inside)
        << c.range << " " << c.address;
  }
}

std::vector<std::string> Merged(const std::vector<std::string>& texts) {
  std::vector<IpRange> ranges;
  for (const std::string& text : texts) ranges.push_back(*IpRange::Parse(text));
  std::vector<std::string> merged;
  for (const IpRange& range : IpRange::Merged(ranges)) merged.push_back(range.Text());
  return merged;
}

TEST(IpRange, MergedHoldTheSameAndNothingElse) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(Merged({}), Texts());
  EXPECT_EQ(Merged({"10.0.0.1"}), Texts({"10.0.0.1"}));
  EXPECT_EQ(Merged({"10.0.0.3", "10.0.0.2", "10.0.0.2"}), Texts({"10.0.0.2/31"}));
  EXPECT_EQ(Merged({"10.0.0.1", "10.0.0.2"}), Texts({"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(Merged({"10.0.0.0/25", "10.0.0.128/26", "10.0.0.192/26", "10.0.1.0/24"}),
            Texts({"10.0.0.0/23"}));
  EXPECT_EQ(Merged({"10.0.0.0/8", "10.1.2.3", "11.0.0.0"}), Texts({"10.0.0.0/8", "11.0.0.0"}));
  EXPECT_EQ(Merged({"10.1.2.3/8"}), Texts({"10.0.0.0/8"}));
  EXPECT_EQ(Merged({"fd00::1", "fd00::", "::/0", "1.2.3.4"}), Texts({"1.2.3.4", "::/0"}));
  EXPECT_EQ(Merged({"0.0.0.0/1", "128.0.0.0/1", "::fffe:0:0/96"}),
            Texts({"0.0.0.0/0", "::fffe:0:0/96"}));
  EXPECT_EQ(Merged({"::ffff:10.0.0.0/104", "10.7.0.0/16"}), Texts({"10.0.0.0/8"}));
}

TEST(IpRange, MergedOfRandomRangesAnswerAsThose) {
  std::mt19937 random(1);
  auto pick = [&random](int below) {
    return std::uniform_int_distribution<int>(0, below - 1)(random);
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<IpRange> ranges;
    for (int i = 0; i < 40; ++i) {
      ranges.push_back(*IpRange::Parse("10.0.0." + std::to_string(pick(256)) + "/" +
                                       std::to_string(27 + pick(6))));
    }
    auto merged = IpRange::Merged(ranges);
    EXPECT_LE(merged.size(), ranges.size());
    for (int last = 0; last < 256; ++last) {
      auto address = *IpAddress::Parse("10.0.0." + std::to_string(last));
      auto holds = [&address](const IpRange& range) { return range.Contains(address); };
      EXPECT_EQ(std::any_of(ranges.begin(), ranges.end(), holds),
                std::any_of(merged.begin(), merged.end(), holds));
    }
  }
}

TEST(IpRange, Malformed) {
  for (const char* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                          "::/129", "10.0.0.0/8/8", "10/8", "10.0.0.0/ 8"}) {
    EXPECT_FALSE(IpRange::Parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace tarn
