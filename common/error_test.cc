#include "common/error.h"

#include <gtest/gtest.h>

#include <set>

namespace tarn {
namespace {

TEST(Error, EachCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    auto code = static_cast<Code>(i);
    EXPECT_TRUE(names.insert(CodeName(code)).second);
    EXPECT_EQ(CodeOfName(CodeName(code)), code);
  }
  EXPECT_EQ(CodeOfName("NoSuchCode"), Code::kInternal);
}

TEST(Error, CarriesWhatTheControlApiSays) {
  Error plain(Code::kNoEntry);
  EXPECT_EQ(plain.api_name(), "");
  EXPECT_EQ(plain.ToString(), "NoEntry");
  Error error(Code::kInUse, "in use", "FileSystemInUse", "fs-1");
  Error copy = error;
  EXPECT_EQ(copy.api_name(), "FileSystemInUse");
  EXPECT_EQ(copy.resource_id(), "fs-1");
  EXPECT_EQ(copy.ToString(), "InUse: in use");
}

}  // namespace
}  // namespace tarn
