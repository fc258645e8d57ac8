#include "server/daemon/data_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/daemon/testing/server_process.h"

namespace tarn::daemon {
namespace {

struct stat Look(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

// Another owner if we may give files away, else ourselves.
uint32_t SomeOwner() {
  return geteuid() == 0 ? 4711 : geteuid();
}

TEST(DataDir, IsMadeAndGivenAwayWithAllInIt) {
  TempDir temp;
  std::string dir = temp / "a/b";
  ASSERT_TRUE(PrepareDataDir(dir, SomeOwner(), getegid()).ok());
  EXPECT_EQ(Look(dir).st_mode & 07777, 0700u);
  EXPECT_EQ(Look(dir).st_uid, SomeOwner());
  std::filesystem::create_directories(dir + "/chunks");
  std::ofstream(dir + "/chunks/1") << "data";
  std::ofstream(temp / "outside") << "not ours";
  std::filesystem::create_symlink(temp / "outside", dir + "/link");
  uint32_t outside = Look(temp / "outside").st_uid;
  chmod(dir.c_str(), 0755);  // as a fresh volume comes
  ASSERT_TRUE(PrepareDataDir(dir, SomeOwner(), getegid()).ok());
  EXPECT_EQ(Look(dir + "/chunks/1").st_uid, SomeOwner());
  EXPECT_EQ(Look(dir + "/link").st_uid, SomeOwner());
  EXPECT_EQ(Look(temp / "outside").st_uid, outside);
  EXPECT_EQ(Look(dir).st_mode & 07777, 0700u);
}

TEST(DataDir, WhatIsNoDirectoryIsRefused) {
  TempDir temp;
  std::ofstream(temp / "file") << "x";
  auto refused = PrepareDataDir(temp / "file", getuid(), getgid());
  EXPECT_EQ(refused.code(), Code::kNotDirectory);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("--data-dir"));
}

TEST(DataDir, OpenFilesAreRaisedToTheHardLimitAndShared) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(256, before.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  FileBudget budget = RaiseOpenFiles(25'000, 4096);
  EXPECT_EQ(budget.limit, before.rlim_max);
  EXPECT_LE(budget.connections, 25'000u);
  EXPECT_LE(budget.engine_files, 4096u);
  EXPECT_LT(budget.connections + budget.engine_files, budget.limit);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace tarn::daemon
