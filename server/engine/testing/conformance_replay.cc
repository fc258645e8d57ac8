// Changes that come again after a restart: ReplayTag of server/vfs/types.h.
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

}  // namespace

TEST_P(Conformance, RenameThatComesAgainAfterARestartIsAnsweredAsBefore) {
  MakeFile(top(), "a");
  auto first = fs().Rename(Tagged("s1", 7), top(), "a", top(), "b");
  ASSERT_TRUE(first.ok());
  Restart();
  auto again = fs().Rename(Tagged("s1", 7), top(), "a", top(), "b");
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(again->target.after, first->target.after);
  EXPECT_EQ(Names(top()), std::vector<std::string>{"b"});
  // The next request of the slot is a new one.
  EXPECT_EQ(fs().Rename(Tagged("s1", 8), top(), "a", top(), "b").code(), Code::kNoEntry);
}

TEST_P(Conformance, RemoveThatComesAgainAfterARestartIsAnsweredAsBefore) {
  MakeFile(top(), "a");
  ASSERT_TRUE(fs().Remove(Tagged("s1", 1), top(), "a").ok());
  Restart();
  EXPECT_TRUE(fs().Remove(Tagged("s1", 1), top(), "a").ok());
  EXPECT_EQ(fs().Remove(Tagged("s2", 1), top(), "a").code(), Code::kNoEntry);
}

TEST_P(Conformance, CreateAndLinkThatComeAgainAfterARestartAreAnsweredAsBefore) {
  CreateOptions directory;
  directory.type = FileType::kDirectory;
  auto made = fs().Create(Tagged("s1", 1), top(), "d", directory);
  ASSERT_TRUE(made.ok());
  FileId file = MakeFile(top(), "f");
  ASSERT_TRUE(fs().Link(Tagged("s2", 1), file, top(), "g").ok());
  Restart();
  auto again = fs().Create(Tagged("s1", 1), top(), "d", directory);
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(again->attributes.id, made->attributes.id);
  EXPECT_FALSE(again->existed);
  EXPECT_TRUE(fs().Link(Tagged("s2", 1), file, top(), "g").ok());
  EXPECT_EQ(Get(file).links, 2u);
  EXPECT_EQ(fs().Create(Tagged("s1", 2), top(), "d", directory).code(), Code::kExists);
}

TEST_P(Conformance, AFailedChangeIsNotRecorded) {
  EXPECT_EQ(fs().Remove(Tagged("s1", 1), top(), "a").code(), Code::kNoEntry);
  Restart();
  MakeFile(top(), "a");
  EXPECT_TRUE(fs().Remove(Tagged("s1", 1), top(), "a").ok());
}

TEST_P(Conformance, ForgottenReplaysAreNewRequests) {
  MakeFile(top(), "a");
  ASSERT_TRUE(fs().Remove(Tagged("session1/0", 1), top(), "a").ok());
  MakeFile(top(), "b");
  ASSERT_TRUE(fs().Remove(Tagged("session2/0", 1), top(), "b").ok());
  ASSERT_TRUE(fs().ForgetReplays("session1/").ok());
  Restart();
  EXPECT_EQ(fs().Remove(Tagged("session1/0", 1), top(), "a").code(), Code::kNoEntry);
  EXPECT_TRUE(fs().Remove(Tagged("session2/0", 1), top(), "b").ok());
}

}  // namespace tarn::engine::testing
