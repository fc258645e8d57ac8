// Extended attributes (RFC 8276).
#include <algorithm>
#include <map>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

std::vector<std::string> XattrsOf(FileSystem& fs, FileId file) {
  std::vector<std::string> names;
  auto end = fs.ListXattrs(Tagged("", 0), file, 0, [&](uint64_t cookie, std::string_view name) {
    EXPECT_NE(cookie, 0u);
    names.emplace_back(name);
    return true;
  });
  EXPECT_TRUE(end.ok() && *end);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_P(Conformance, XattrsAreSetAndRemoved) {
  using Names = std::vector<std::string>;
  for (FileId file : {MakeFile(top(), "f"), MakeDirectory(top(), "d")}) {
    EXPECT_EQ(fs().GetXattr(Root(), file, "a").code(), Code::kNoData);
    EXPECT_EQ(XattrsOf(fs(), file), Names{});
    uint64_t space = Get(file).space_used;
    Tick();
    uint64_t before = Get(file).change;
    auto change = fs().SetXattr(Root(), file, "a", std::string("1\0 2", 4), XattrMode::kEither);
    ASSERT_TRUE(change.ok());
    EXPECT_EQ(change->before, before);
    EXPECT_EQ(change->after, Get(file).change);
    EXPECT_GT(change->after, before);
    EXPECT_EQ(Get(file).change_time, Now());
    EXPECT_NE(Get(file).modify_time, Now());
    EXPECT_EQ(Get(file).space_used, space + 5);
    ASSERT_TRUE(fs().SetXattr(Root(), file, "b", "", XattrMode::kCreate).ok());
    EXPECT_EQ(fs().SetXattr(Root(), file, "b", "2", XattrMode::kCreate).code(), Code::kExists);
    EXPECT_EQ(fs().SetXattr(Root(), file, "c", "2", XattrMode::kReplace).code(), Code::kNoData);
    ASSERT_TRUE(fs().SetXattr(Root(), file, "b", "two", XattrMode::kReplace).ok());
    ExpectExactUsage();
    Restart();
    EXPECT_EQ(*fs().GetXattr(Root(), file, "a"), std::string("1\0 2", 4));
    EXPECT_EQ(*fs().GetXattr(Root(), file, "b"), "two");
    EXPECT_EQ(XattrsOf(fs(), file), (Names{"a", "b"}));
    before = Get(file).change;
    auto removed = fs().RemoveXattr(Root(), file, "a");
    ASSERT_TRUE(removed.ok());
    EXPECT_EQ(removed->before, before);
    EXPECT_GT(removed->after, before);
    EXPECT_EQ(fs().RemoveXattr(Root(), file, "a").code(), Code::kNoData);
    Restart();
    EXPECT_EQ(XattrsOf(fs(), file), Names{"b"});
    EXPECT_EQ(Get(file).space_used, space + 4);
  }
  ExpectExactUsage();
  ASSERT_TRUE(fs().Remove(Root(), top(), "f").ok());
  ASSERT_TRUE(fs().Remove(Root(), top(), "d").ok());
  EXPECT_EQ(UsageOf(kRootRealm), (Usage{0, 1}));
}

TEST_P(Conformance, XattrsHaveLimits) {
  FileId file = MakeFile(top(), "f");
  auto set = [&](std::string_view name, size_t bytes) {
    return fs().SetXattr(Root(), file, name, std::string(bytes, 'x'), XattrMode::kEither).code();
  };
  EXPECT_EQ(set("", 1), Code::kInvalid);
  EXPECT_EQ(set(std::string_view("a\0b", 3), 1), Code::kInvalid);
  EXPECT_EQ(set(std::string(kXattrNameBytesMax + 1, 'n'), 1), Code::kNameTooLong);
  EXPECT_EQ(set("big", kXattrValueBytesMax + 1), Code::kRange);
  EXPECT_EQ(set("big", kXattrValueBytesMax), Code::kOk);
  EXPECT_EQ(fs().GetXattr(Root(), file, "big")->size(), kXattrValueBytesMax);
  EXPECT_EQ(set(std::string(kXattrNameBytesMax, 'n'), 1), Code::kOk);
  EXPECT_EQ(set("b", kXattrValueBytesMax), Code::kOk);
  EXPECT_EQ(set("c", kXattrValueBytesMax), Code::kOk);
  EXPECT_EQ(set("d", kXattrValueBytesMax), Code::kNoSpace);  // of one file
  for (const char* name : {"big", "b", "c"}) EXPECT_TRUE(fs().RemoveXattr(Root(), file, name).ok());
  for (uint32_t i = 1; i < kXattrsMax; ++i) ASSERT_EQ(set("n" + std::to_string(i), 3), Code::kOk);
  EXPECT_EQ(set("more", 1), Code::kNoSpace);
  EXPECT_EQ(set("n1", 1), Code::kOk);
  ASSERT_TRUE(fs().SetQuota(kRootRealm, {.bytes_max = UsageOf(kRootRealm).bytes + 10}).ok());
  EXPECT_EQ(set("n1", 12), Code::kQuota);
  EXPECT_EQ(fs().GetXattr(Root(), file, "n1")->size(), 1u);
  EXPECT_EQ(set("n1", 11), Code::kOk);
  ExpectExactUsage();
}

TEST_P(Conformance, XattrsAreListedInSteps) {
  FileId file = MakeFile(top(), "f");
  for (int i = 0; i < 50; ++i) {
    std::string name = "name" + std::to_string(i);
    ASSERT_TRUE(fs().SetXattr(Root(), file, name, "v", XattrMode::kCreate).ok());
  }
  std::map<std::string, int> seen;
  uint64_t cookie = 0;
  for (bool end = false; !end;) {
    int left = 7;
    auto result = fs().ListXattrs(Root(), file, cookie, [&](uint64_t at, std::string_view name) {
      if (left-- == 0) return false;
      ++seen[std::string(name)];
      cookie = at;
      return true;
    });
    ASSERT_TRUE(result.ok());
    end = *result;
    if (seen.size() == 21) {  // what is seen goes, what is set again stays where it is
      std::string first = seen.begin()->first;
      ASSERT_TRUE(fs().RemoveXattr(Root(), file, first).ok());
      ASSERT_TRUE(fs().SetXattr(Root(), file, "name49", "w", XattrMode::kReplace).ok());
      Restart();
    }
  }
  EXPECT_EQ(seen.size(), 50u);
  for (auto& [name, times] : seen) EXPECT_EQ(times, 1) << name;
}

TEST_P(Conformance, XattrsNeedRights) {
  FileId file = Chown(MakeFile(top(), "f", 0640), 7, 7);
  auto set = [&](const Caller& caller, FileId id) {
    return fs().SetXattr(caller, id, "a", "1", XattrMode::kEither).code();
  };
  ASSERT_EQ(set(User(7, 7), file), Code::kOk);
  Caller group = User(8, 7);
  EXPECT_EQ(*fs().GetXattr(group, file, "a"), "1");
  EXPECT_EQ(set(group, file), Code::kAccess);
  EXPECT_EQ(fs().RemoveXattr(group, file, "a").code(), Code::kAccess);
  Caller other = User(9, 9);
  EXPECT_EQ(fs().GetXattr(other, file, "a").code(), Code::kAccess);
  EXPECT_EQ(fs().ListXattrs(other, file, 0, {}).code(), Code::kAccess);
  Caller reader = Root();
  reader.read_only = true;
  EXPECT_EQ(set(reader, file), Code::kReadOnly);
  EXPECT_EQ(fs().RemoveXattr(reader, file, "a").code(), Code::kReadOnly);
  EXPECT_EQ(*fs().GetXattr(reader, file, "a"), "1");
  FileId sticky = Chown(MakeDirectory(top(), "tmp", 0777), 7, 7);
  ASSERT_EQ(SetMode(Root(), sticky, 01777), Code::kOk);
  EXPECT_EQ(set(other, sticky), Code::kPermission);
  EXPECT_EQ(set(User(7, 7), sticky), Code::kOk);
  EXPECT_EQ(set(Root(), MakeSymlink(top(), "s", "t")), Code::kInvalid);
  EXPECT_EQ(set(Root(), FileId{999'999, 1}), Code::kStale);
}

TEST_P(Conformance, XattrChangesThatComeAgainAfterARestartAreMadeOnce) {
  FileId file = MakeFile(top(), "f");
  auto set = [&] { return fs().SetXattr(Tagged("s/0", 1), file, "a", "1", XattrMode::kCreate); };
  auto remove = [&] { return fs().RemoveXattr(Tagged("s/1", 1), file, "b"); };
  ASSERT_TRUE(fs().SetXattr(Root(), file, "b", "2", XattrMode::kCreate).ok());
  auto first = set();
  ASSERT_TRUE(first.ok());
  auto removed = remove();
  ASSERT_TRUE(removed.ok());
  Restart();
  auto again = set();
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(again->after, first->after);
  auto removed_again = remove();
  ASSERT_TRUE(removed_again.ok()) << removed_again.error().ToString();
  EXPECT_EQ(removed_again->before, removed->before);
  EXPECT_EQ(fs().SetXattr(Tagged("s/0", 2), file, "a", "1", XattrMode::kCreate).code(),
            Code::kExists);
}

}  // namespace tarn::engine::testing
