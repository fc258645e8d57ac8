#include "tunnel/addresses.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tunnel/limits.h"

namespace tarn::tunnel {
namespace {

// Of this process alone.
std::string Loopback() {
  auto pid = static_cast<unsigned>(getpid());
  return "127." + std::to_string(1 + (pid >> 8) % 250) + "." + std::to_string(pid & 0xff) + ".1";
}

TEST(Addresses, OneThatIsGivenBackComesLast) {
  Addresses addresses(Loopback(), 5);
  auto first = addresses.TakeAny();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->at.address, Loopback());
  EXPECT_EQ(first->at.port, kFirstPort + 5);
  addresses.GiveBack(first->at);
  first->listener.Close();
  for (uint16_t i = 1; i < 50; ++i) {
    auto next = addresses.TakeAny();
    ASSERT_TRUE(next.ok());
    EXPECT_EQ(next->at.port, first->at.port + i);
    addresses.GiveBack(next->at);
  }
}

TEST(Addresses, AllAreGivenInTurn) {
  constexpr uint32_t kPorts = kLastPort - kFirstPort + 1;
  Addresses addresses(Loopback(), 3);
  std::set<std::pair<std::string, uint16_t>> seen;
  for (uint32_t i = 0; i < kPorts * kLoopbackAddresses; ++i) {
    auto one = addresses.TakeAny();
    ASSERT_TRUE(one.ok()) << one.error().message();
    EXPECT_TRUE(seen.insert({one->at.address, one->at.port}).second);
  }
  auto more = addresses.TakeAny();
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.code(), Code::kLimitExceeded);
  LocalAddress back{seen.begin()->first, seen.begin()->second};
  addresses.GiveBack(back);
  EXPECT_EQ(addresses.TakeAny()->at.port, back.port);
}

TEST(Addresses, OneThatIsReservedIsNotGiven) {
  Addresses addresses(Loopback(), 7);
  addresses.Reserve({Loopback(), kFirstPort + 7});
  EXPECT_EQ(addresses.TakeAny()->at.port, kFirstPort + 8);
}

}  // namespace
}  // namespace tarn::tunnel
