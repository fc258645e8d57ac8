// Scrubs in the background: rate, progress, report, end; and those that come by themselves.
#include "server/control/scrubs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Reads `steps` times `bytes`, and finds one problem.
Scrubs::Subject Subject(const std::string& id, int steps, uint64_t bytes) {
  return {id, static_cast<uint64_t>(steps) * bytes,
          [=](const auto& pace, const auto& report) -> Result<vfs::ScrubCounts> {
            for (int i = 0; i < steps; ++i) {
              if (!pace(bytes)) return Error(Code::kAborted, "stopped");
            }
            report("inode 7: wrong checksum");
            return vfs::ScrubCounts{3, steps * bytes, 1, 2};
          }};
}

TEST(Scrubs, TellWhatTheyFoundInAllSubjects) {
  Scrubs scrubs(SystemClock());
  EXPECT_EQ(scrubs.Report().state(), "none");
  ASSERT_TRUE(scrubs.Start("", {Subject("fs-1", 2, 1000), Subject("fs-2", 1, 500)}, 1u << 30).ok());
  auto report = WaitForEnd([&] { return scrubs.Report(); });
  EXPECT_EQ(report.state(), "done");
  EXPECT_EQ(report.files(), 6u);
  EXPECT_EQ(report.bytes(), 2500u);
  EXPECT_EQ(report.bytes_expected(), 2500u);
  EXPECT_EQ(report.checksums_added(), 4u);
  EXPECT_EQ(report.problem_count(), 2u);
  EXPECT_THAT(report.problems(),
              ElementsAre("fs-1: inode 7: wrong checksum", "fs-2: inode 7: wrong checksum"));
  EXPECT_GE(report.end_time(), report.start_time());
}

TEST(Scrubs, KeepToTheirRate) {
  Scrubs scrubs(SystemClock());
  auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(scrubs.Start("", {Subject("fs-1", 20, 100'000)}, 10'000'000).ok());
  WaitForEnd([&] { return scrubs.Report(); });
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(200));
}

TEST(Scrubs, OneAtATimeUntilItIsStopped) {
  Scrubs scrubs(SystemClock());
  ASSERT_TRUE(scrubs.Start("fs-1", {Subject("fs-1", 1'000'000, 1'000'000)}, 1'000'000).ok());
  auto second = scrubs.Start("fs-2", {}, 1'000'000);
  EXPECT_EQ(second.code(), Code::kInUse);
  EXPECT_THAT(second.error().message(), HasSubstr("scrub of fs-1 is running"));
  scrubs.Stop();
  EXPECT_EQ(scrubs.Report().state(), "stopped");
  EXPECT_LT(scrubs.Report().bytes(), 1'000'000'000u);
  EXPECT_TRUE(scrubs.Start("fs-2", {}, 1'000'000).ok());
  EXPECT_EQ(WaitForEnd([&] { return scrubs.Report(); }).state(), "done");
}

TEST(Scrubs, AFailureIsToldAndARemovedFileSystemIsNone) {
  Scrubs scrubs(SystemClock());
  auto failing = [](Code code) {
    return Scrubs::Subject{"fs-1", 0, [code](const auto&, const auto&) {
                             return Result<vfs::ScrubCounts>(Error(code, "it broke"));
                           }};
  };
  ASSERT_TRUE(scrubs.Start("", {failing(Code::kStale), failing(Code::kIo)}, 1u << 20).ok());
  auto report = WaitForEnd([&] { return scrubs.Report(); });
  EXPECT_EQ(report.state(), "failed");
  EXPECT_EQ(report.error(), "fs-1: it broke");
}

class ManagerScrubs : public World {};

TEST_F(ManagerScrubs, OfOneFileSystemOrOfAllAndTheDatabase) {
  std::string id = MakeFileSystem("one").file_system_id();
  engine_.damage = "table inodes: wrong checksum";
  v1::StartScrubRequest request;
  request.set_file_system_id(id);
  auto look = [&] { return manager_->DescribeScrub({}).value(); };
  ASSERT_TRUE(manager_->StartScrub(request).ok());
  auto report = WaitForEnd(look);
  EXPECT_EQ(report.state(), "done");
  EXPECT_EQ(report.problem_count(), 0u);
  EXPECT_EQ(report.bytes_per_second(), kScrubBytesPerSecond);
  request.clear_file_system_id();
  request.set_bytes_per_second(1u << 20);
  ASSERT_TRUE(manager_->StartScrub(request).ok());
  report = WaitForEnd(look);
  EXPECT_EQ(report.bytes_per_second(), 1u << 20);
  EXPECT_THAT(report.problems(), ElementsAre("database: table inodes: wrong checksum"));
  request.set_bytes_per_second(10);
  EXPECT_EQ(EfsName(manager_->StartScrub(request)), "BadRequest");
  request.set_file_system_id("fs-00000000000000000");
  request.clear_bytes_per_second();
  EXPECT_EQ(EfsName(manager_->StartScrub(request)), "FileSystemNotFound");
  EXPECT_TRUE(manager_->StopScrub({}).ok()) << "fine when none runs";
}

TEST_F(ManagerScrubs, ComeByThemselvesWhenTheyAreDue) {
  options_.scrub_every = std::chrono::hours(24);
  Restart();
  auto look = [&] { return manager_->DescribeScrub({}).value(); };
  auto wait_for = [&](const auto& done) {
    for (int i = 0; i < 1000 && !done(look()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  wait_for([](const auto& report) { return report.state() == "done"; });
  EXPECT_EQ(look().state(), "done") << "there was none so far";
  auto stored = [&] { return engine_.records().Get("control/scrub")->has_value(); };
  wait_for([&](const auto&) { return stored(); });
  EXPECT_TRUE(stored());
  Restart();
  std::this_thread::sleep_for(2 * kHousekeepingInterval + std::chrono::milliseconds(100));
  EXPECT_EQ(look().state(), "none") << "it is not due for a day";
}

}  // namespace
}  // namespace tarn::control
