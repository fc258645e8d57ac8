#include "server/vfs/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tarn::vfs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Names, TakesWhatPosixTakes) {
  EXPECT_TRUE(CheckName("a").ok());
  EXPECT_TRUE(CheckName("...").ok());
  EXPECT_TRUE(CheckName("with space\n\xff").ok());
  EXPECT_TRUE(CheckName(std::string(255, 'n')).ok());
}

TEST(Names, RefusesWhatIsNoComponent) {
  for (std::string_view bad : {"", ".", "..", "a/b", "/"}) {
    EXPECT_EQ(CheckName(bad).code(), Code::kInvalid) << bad;
  }
  EXPECT_EQ(CheckName(std::string_view("a\0b", 3)).code(), Code::kInvalid);
  EXPECT_EQ(CheckName(std::string(256, 'n')).code(), Code::kNameTooLong);
}

TEST(Names, SplitsPaths) {
  EXPECT_THAT(*SplitPath("/"), IsEmpty());
  EXPECT_THAT(*SplitPath("/a/b"), ElementsAre("a", "b"));
  EXPECT_THAT(*SplitPath("//a//b/"), ElementsAre("a", "b"));
  for (std::string_view bad : {"", "a", "a/b", "/a/../b", "/./a", "/.."}) {
    EXPECT_EQ(SplitPath(bad).code(), Code::kInvalid) << bad;
  }
  EXPECT_EQ(SplitPath("/" + std::string(256, 'n')).code(), Code::kNameTooLong);
}

}  // namespace
}  // namespace tarn::vfs
