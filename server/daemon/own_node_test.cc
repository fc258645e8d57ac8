#include "server/daemon/own_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn::daemon {
namespace {

std::vector<std::string> Texts(std::string_view route, std::string_view ipv6_route) {
  std::vector<std::string> texts;
  for (const IpAddress& gateway : GatewaysOf(route, ipv6_route)) {
    IpAddress::Buffer buffer;
    texts.emplace_back(gateway.Write(buffer));
  }
  return texts;
}

constexpr const char* kHead =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

TEST(OwnNode, IsTheDefaultGateway) {
  EXPECT_THAT(
      Texts(std::string(kHead) + "eth0\t00000000\t0102F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                                 "eth0\t0002F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
            "fd010000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
            "fd010000000000000000000000000000 40 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"),
      testing::ElementsAre("10.244.2.1", "fd01::1"));
}

TEST(OwnNode, IsNobodyWhereTheGatewayIsNoneOrEverybodys) {
  EXPECT_THAT(Texts(kHead, ""), testing::IsEmpty());
  // To a part of the network only; a device without a gateway; Calico's.
  EXPECT_THAT(
      Texts(std::string(kHead) + "eth0\t0000000A\t0102F40A\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n"
                                 "eth0\t00000000\t0102F40A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
                                 "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
                                 "eth0\t00000000\t0101FEA9\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                                 "eth0\t00000000\tnonsense\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                                 "short\t00000000\n",
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
            "fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
            "0000 00 00 00 fd01 0 0 0 00000003 eth0\n"),
      testing::IsEmpty());
}

TEST(OwnNode, IsReadHere) {
  for (const IpRange& range : ReadOwnNode()) {
    EXPECT_FALSE(range.Contains(*IpAddress::Parse("169.254.1.1")));
  }
}

}  // namespace
}  // namespace tarn::daemon
