// With the real program as the child.
#include "csi/mount/helper_runner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "csi/mount/host.h"

namespace tarn::csi {
namespace {

using namespace std::chrono_literals;

struct HelperTest : testing::Test {
  HelperTest() {
    std::string name = "/tmp/tarn-helper-XXXXXX";
    dir = mkdtemp(name.data());
  }
  ~HelperTest() override { std::filesystem::remove_all(dir); }
  HelperRunner runner{TARN_CSI_PROGRAM};
  std::unique_ptr<Host> host = NewHost(runner);
  std::string dir;
};

TEST_F(HelperTest, ChecksAndRemovesDirectories) {
  std::string path = dir + "/a/b";
  EXPECT_EQ(host->Check(path).code(), Code::kNotFound);
  ASSERT_TRUE(runner.Run({"mkdir", path}, 5s).ok());
  ASSERT_TRUE(runner.Run({"mkdir", path}, 5s).ok());
  EXPECT_TRUE(host->Check(path).ok());
  EXPECT_EQ(host->Unmount(dir + "/a", true).code(), Code::kNotEmpty);
  EXPECT_TRUE(host->Unmount(path, true).ok());
  EXPECT_TRUE(host->Unmount(path, true).ok());
  EXPECT_EQ(host->Check(path).code(), Code::kNotFound);
}

TEST_F(HelperTest, TellsTheSizeOfAFileSystem) {
  auto usage = host->StatFs(dir);
  ASSERT_TRUE(usage.ok()) << usage.error().message();
  EXPECT_GT(usage->bytes_total, 0u);
  EXPECT_EQ(usage->bytes_total, usage->bytes_used + usage->bytes_available);
  EXPECT_EQ(host->StatFs(dir + "/no").code(), Code::kNotFound);
}

TEST_F(HelperTest, UnmountOfWhatIsNotMountedIsDone) {
  EXPECT_TRUE(host->Unmount(dir, false).ok());
  EXPECT_TRUE(host->Unmount(dir + "/no", true).ok());
}

TEST_F(HelperTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(runner.Run({"format"}, 5s).code(), Code::kInvalid);
  EXPECT_EQ(runner.Run({"bind", "/a"}, 5s).code(), Code::kInvalid);
}

// /bin/sh stands in for a helper that hangs; it gets "helper" as its script.
TEST_F(HelperTest, GivesUpAtTheDeadline) {
  std::string script = dir + "/hang";
  FILE* file = fopen(script.c_str(), "w");
  fputs("#!/bin/sh\nexec sleep 600\n", file);
  fclose(file);
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  HelperRunner hanging{script};
  auto start = std::chrono::steady_clock::now();
  auto result = hanging.Run({"statfs", "/"}, 100ms);
  EXPECT_EQ(result.code(), Code::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST_F(HelperTest, SaysWhenItCannotStart) {
  HelperRunner none{dir + "/missing"};
  EXPECT_EQ(none.Run({"statfs", "/"}, 5s).code(), Code::kInternal);
}

TEST_F(HelperTest, RunsManyAtOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) EXPECT_TRUE(host->Check(dir).ok());
    });
  }
}

TEST(HelperResult, GoesThroughTheOutput) {
  EXPECT_EQ(*ParseHelperResult(0, "1 2"), "1 2");
  auto stale = ParseHelperResult(1, "Stale\ngone\nfor good");
  EXPECT_EQ(stale.code(), Code::kStale);
  EXPECT_EQ(stale.error().message(), "gone\nfor good");
  EXPECT_EQ(ParseHelperResult(1, "").code(), Code::kInternal);
  EXPECT_EQ(ParseHelperResult(139, "x").code(), Code::kInternal);
}

}  // namespace
}  // namespace tarn::csi
