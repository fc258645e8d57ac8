#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn {
namespace {

TEST(Log, StrangersTextStaysInItsLine) {
  auto before = spdlog::default_logger();
  testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLogging("log-test", "info").ok());
  spdlog::info("client {} came", "a\n2026-01-01T00:00:00.000000Z tarn-server[1] info all is well");
  spdlog::info("plain ä, {}", "\x1b[31m\r\t\x7f");
  spdlog::set_default_logger(before);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_THAT(text, testing::HasSubstr("] info client a\\x0a2026-01-01T"));
  EXPECT_THAT(text, testing::EndsWith("info plain ä, \\x1b[31m\\x0d\\x09\\x7f\n"));
}

TEST(Log, ALevelThatIsNoneIsSaid) {
  EXPECT_EQ(StartLogging("log-test-2", "loud").code(), Code::kInvalid);
}

}  // namespace
}  // namespace tarn
