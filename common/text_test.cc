#include "common/text.h"

#include <gtest/gtest.h>

namespace tarn {
namespace {

TEST(Text, HexAndDigest) {
  EXPECT_EQ(Hex(std::string_view("\x00\x0f\xa0\xff", 4)), "000fa0ff");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Text, Ipv6AddressesGetBrackets) {
  EXPECT_EQ(JoinHostPort("10.0.0.1", 2049), "10.0.0.1:2049");
  EXPECT_EQ(JoinHostPort("fd00::1", 2049), "[fd00::1]:2049");
}

}  // namespace
}  // namespace tarn
