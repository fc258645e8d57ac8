#include "server/identity/watched_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "server/identity/testing/token_maker.h"
#include "server/identity/token_issuers.h"

namespace tarn::identity {
namespace {

using IssuersFile = WatchedFile<TokenIssuers>;

class WatchedFileTest : public ::testing::Test {
 protected:
  WatchedFileTest() {
    std::string name = ::testing::TempDir() + "/tarn-issuers-XXXXXX";
    path_ = std::string(mkdtemp(name.data())) + "/issuers.json";
  }
  ~WatchedFileTest() override {
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path());
  }
  void Write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }
  static void WaitUntilLookedAt() {
    std::this_thread::sleep_for(IssuersFile::kRefresh + std::chrono::milliseconds(50));
  }
  static bool Knows(const TokenIssuers& issuers, const TokenMaker& maker) {
    return issuers.Verify(maker.Sign(maker.Claims("shop", "web")), std::chrono::seconds(2000)).ok();
  }
  std::string path_;
};

TEST_F(WatchedFileTest, IsReadAgainWhenItChanges) {
  TokenMaker before, after;
  Write(before.File());
  auto file = IssuersFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  EXPECT_TRUE(Knows(*(*file)->Current(), before));
  Write(after.File());
  WaitUntilLookedAt();
  EXPECT_TRUE(Knows(*(*file)->Current(), after));
  EXPECT_FALSE(Knows(*(*file)->Current(), before));
  // What makes no sense does not take away what did.
  Write("{");
  WaitUntilLookedAt();
  EXPECT_TRUE(Knows(*(*file)->Current(), after));
  std::filesystem::remove(path_);
  WaitUntilLookedAt();
  EXPECT_TRUE(Knows(*(*file)->Current(), after));
}

// A connection that begins waits for no other one's look at the file.
TEST_F(WatchedFileTest, WhileItIsReadItGoesOnToCount) {
  TokenMaker before, after;
  Write(before.File());
  auto file = IssuersFile::Open(path_).value();
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  WaitUntilLookedAt();
  std::shared_ptr<const TokenIssuers> read;
  std::thread reader([&] { read = file->Current(); });
  std::ofstream out(path_);  // waits until it is opened to be read
  EXPECT_TRUE(Knows(*file->Current(), before));
  out << after.File();
  out.close();
  reader.join();
  std::filesystem::remove(path_);  // another look at it would wait for a writer
  Write(after.File());
  EXPECT_TRUE(Knows(*read, after));
  EXPECT_TRUE(Knows(*file->Current(), after));
}

TEST_F(WatchedFileTest, AFileThatMakesNoSenseAtTheStartIsAnError) {
  EXPECT_NE(IssuersFile::Open(path_).error().message().find(path_), std::string::npos);
  Write("");
  EXPECT_EQ(IssuersFile::Open(path_).code(), Code::kInvalid);
  Write("{}");
  auto file = IssuersFile::Open(path_);
  EXPECT_EQ(file.code(), Code::kInvalid);
  EXPECT_NE(file.error().message().find(path_), std::string::npos);
}

}  // namespace
}  // namespace tarn::identity
