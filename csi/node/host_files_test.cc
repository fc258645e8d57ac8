#include "csi/node/host_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/files.h"

namespace tarn::csi {
namespace {

struct HostFilesTest : testing::Test {
  static std::string MakeDirectory() {
    std::string name = "/tmp/tarn-host-XXXXXX";
    return mkdtemp(name.data());
  }
  ~HostFilesTest() override { std::filesystem::remove_all(dir); }
  std::string Read(const std::string& name) const {
    return ReadSmallFile(dir + "/host/" + name).ok() ? ReadSmallFile(dir + "/host/" + name).value()
                                                     : "";
  }

  const std::string dir = MakeDirectory();
  Result<std::map<std::string, std::string>> registry = std::map<std::string, std::string>();
  HostFiles files{dir + "/host", [this] { return registry; }, dir + "/ca.crt"};
};

TEST_F(HostFilesTest, FollowsItsSources) {
  registry->emplace("fs-1.json", "one");
  registry->emplace("fs-2.json", "two");
  registry->emplace("../evil", "evil");
  EXPECT_TRUE(files.Sync().ok()) << "the authority comes later";
  EXPECT_EQ(Read("registry/fs-1.json"), "one");
  EXPECT_EQ(Read("evil"), "");
  std::ofstream(dir + "/ca.crt") << "authority";
  (*registry)["fs-1.json"] = "new";
  registry->erase("fs-2.json");
  ASSERT_TRUE(files.Sync().ok());
  EXPECT_EQ(Read("nfs-ca.crt"), "authority");
  EXPECT_EQ(Read("registry/fs-1.json"), "new");
  EXPECT_FALSE(std::filesystem::exists(dir + "/host/registry/fs-2.json"));
  struct stat info {};
  ASSERT_EQ(stat((dir + "/host/nfs-ca.crt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644U);
}

TEST_F(HostFilesTest, KeepsWhatCannotBeReadNow) {
  registry->emplace("fs-1.json", "one");
  ASSERT_TRUE(files.Sync().ok());
  registry = Error(Code::kUnavailable, "no answer");
  EXPECT_FALSE(files.Sync().ok());
  EXPECT_EQ(Read("registry/fs-1.json"), "one");
}

TEST_F(HostFilesTest, WritesAgainWhatSomebodyRemoved) {
  registry->emplace("fs-1.json", "one");
  ASSERT_TRUE(files.Sync().ok());
  std::filesystem::remove_all(dir + "/host");
  ASSERT_TRUE(files.Sync().ok());
  EXPECT_EQ(Read("registry/fs-1.json"), "one");
}

}  // namespace
}  // namespace tarn::csi
