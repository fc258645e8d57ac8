#include "common/http_endpoint.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tarn {
namespace {

TEST(HttpEndpoint, StopsAtOnce) {
  auto endpoint = HttpEndpoint::Start("127.0.0.1:0", {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().ToString();
  EXPECT_GT((*endpoint)->port(), 0);
  auto begin = std::chrono::steady_clock::now();
  endpoint.value().reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{1500});
}

TEST(HttpEndpoint, ATakenAddressIsAnError) {
  auto first = HttpEndpoint::Start("127.0.0.1:0", {});
  ASSERT_TRUE(first.ok());
  auto second = HttpEndpoint::Start("127.0.0.1:" + std::to_string((*first)->port()), {});
  EXPECT_EQ(second.code(), Code::kUnavailable);
}

}  // namespace
}  // namespace tarn
