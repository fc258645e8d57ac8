#include "csi/registry.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>

namespace tarn::csi {
namespace {

using Files = std::map<std::string, std::string>;

std::string Json(const std::string& id, const std::string& name) {
  return R"({"fileSystemId":")" + id + R"(","namespace":"default","name":")" + name +
         R"(","control":"10.0.0.1:9400","nfs":"10.0.0.1:2049",)"
         R"("mountTargets":[{"mountTargetId":"fsmt-1","zone":"a","nfs":"10.0.0.2:2049"}]})";
}

struct Fixture : testing::Test {
  Result<Files> answer = Files();
  int reads = 0;
  ManualClock clock;
  Registry registry{[this] { return ++reads, answer; }, clock};
  const std::string id = "fs-00000001";
};

TEST_F(Fixture, FindsByIdAndName) {
  answer = Files{{"a.json", Json(id, "shared")}, {"b.json", "no json"}, {"c.json", "{}"}};
  auto entry = registry.ById(id);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->control, "10.0.0.1:9400");
  EXPECT_EQ(entry->mount_targets.at(0).zone, "a");
  EXPECT_EQ(registry.ByName("default", "shared")->file_system_id, id);
  EXPECT_EQ(registry.ByName("other", "shared").code(), Code::kNotFound);
}

TEST_F(Fixture, ReadsAgainOnAMissSoThatANewFileSystemIsUsableAtOnce) {
  EXPECT_EQ(registry.ById(id).code(), Code::kNotFound);
  answer = Files{{"a.json", Json(id, "shared")}};
  EXPECT_EQ(registry.ById(id).code(), Code::kNotFound);  // asked again too soon
  EXPECT_EQ(reads, 1);
  clock.Advance(Registry::kMissInterval);
  EXPECT_TRUE(registry.ById(id).ok());
  EXPECT_TRUE(registry.ById(id).ok());
  EXPECT_EQ(reads, 2);
}

TEST_F(Fixture, KeepsWhatItKnowsWhileTheSourceIsDown) {
  answer = Files{{"a.json", Json(id, "shared")}};
  ASSERT_TRUE(registry.ById(id).ok());
  answer = Error(Code::kUnavailable, "connection refused");
  clock.Advance(Registry::kFresh * 2);
  EXPECT_TRUE(registry.ById(id).ok());
  clock.Advance(Registry::kFresh);
  auto other = registry.ById("fs-00000002");
  EXPECT_EQ(other.code(), Code::kUnavailable);
  EXPECT_NE(other.error().message().find("connection refused"), std::string::npos);
}

TEST_F(Fixture, DoesNotWaitForASourceThatHangsWhenItKnowsTheAnswer) {
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  std::atomic<bool> hang{false};
  Registry hanging(
      [&]() -> Result<Files> {
        if (hang) ended.wait();
        return Files{{"a.json", Json(id, "shared")}};
      },
      clock);
  ASSERT_TRUE(hanging.ById(id).ok());
  hang = true;
  clock.Advance(Registry::kFresh * 2);
  auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(hanging.ById(id).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, Registry::kMissWait / 2);
  end.set_value();
}

TEST_F(Fixture, FollowsAChangedAddress) {
  answer = Files{{"a.json", Json(id, "shared")}};
  ASSERT_TRUE(registry.ById(id).ok());
  std::string moved = Json(id, "shared");
  moved.replace(moved.find("10.0.0.1:9400"), 13, "10.0.0.9:9400");
  answer = Files{{"a.json", moved}};
  clock.Advance(Registry::kFresh * 2);
  EXPECT_EQ(registry.ById(id)->control, "10.0.0.9:9400");
}

TEST(DirectorySource, ReadsJsonFilesAndTakesAMissingDirectoryForEmpty) {
  auto dir = std::filesystem::temp_directory_path() / ("tarn-registry-" + std::to_string(getpid()));
  auto missing = DirectorySource(dir)();
  ASSERT_TRUE(missing.ok());
  EXPECT_TRUE(missing->empty());
  std::filesystem::create_directories(dir);
  std::ofstream(dir / "fs-1.json") << "{}";
  std::ofstream(dir / "other.txt") << "x";
  auto files = DirectorySource(dir)();
  std::filesystem::remove_all(dir);
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(*files, (Files{{"fs-1.json", "{}"}}));
}

}  // namespace
}  // namespace tarn::csi
