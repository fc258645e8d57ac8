// Attributes and who may change them.
#include <array>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)

TEST_P(Conformance, ChmodIsForTheOwner) {
  FileId file = Chown(MakeFile(top(), "f", 0600), 7, 7);
  uint64_t change = Get(file).change;
  Tick();
  EXPECT_EQ(SetMode(User(8, 8), file, 0777), Code::kPermission);
  EXPECT_EQ(Get(file).change, change);
  EXPECT_EQ(SetMode(User(7, 7), file, 0640), Code::kOk);
  EXPECT_EQ(Get(file).mode, 0640u);
  EXPECT_GT(Get(file).change, change);
  EXPECT_EQ(Get(file).change_time, Now());
  EXPECT_LT(Get(file).modify_time, Now());
  EXPECT_EQ(SetMode(Root(), file, 07777), Code::kOk);
  EXPECT_EQ(Get(file).mode, 07777u);
  EXPECT_EQ(SetMode(User(7, 8), file, 02755), Code::kOk);  // not in the file's group
  EXPECT_EQ(Get(file).mode, 0755u);
}

TEST_P(Conformance, ChownIsForRootAndGroupsForTheirMembers) {
  FileId file = Chown(MakeFile(top(), "f"), 7, 7);
  AttributeChange change;
  change.uid = 8;
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kPermission);
  change.uid = 7;
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kOk);
  change.gid = 9;
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kPermission);
  EXPECT_EQ(fs().SetAttributes(User(7, 7, {9}), file, change).code(), Code::kOk);
  EXPECT_EQ(Get(file).gid, 9u);
  ASSERT_EQ(SetMode(Root(), file, 06755), Code::kOk);
  change.gid = 7;
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kOk);
  EXPECT_EQ(Get(file).mode, 0755u);
}

TEST_P(Conformance, TimesAreForTheOwnerOrNowForWriters) {
  FileId file = Chown(MakeFile(top(), "f", 0666), 7, 7);
  AttributeChange set;
  set.access_time = Time{1, 2};
  set.modify_time = Time{-3, 4};
  EXPECT_EQ(fs().SetAttributes(User(8, 8), file, set).code(), Code::kPermission);
  ASSERT_EQ(fs().SetAttributes(User(7, 7), file, set).code(), Code::kOk);
  EXPECT_EQ(Get(file).access_time, (Time{1, 2}));
  EXPECT_EQ(Get(file).modify_time, (Time{-3, 4}));
  AttributeChange now;
  now.access_time_now = now.modify_time_now = true;
  Tick();
  EXPECT_EQ(fs().SetAttributes(User(8, 8), file, now).code(), Code::kOk);
  EXPECT_EQ(Get(file).modify_time, Now());
  EXPECT_EQ(Get(file).access_time, Now());
  ASSERT_EQ(SetMode(Root(), file, 0644), Code::kOk);
  EXPECT_EQ(fs().SetAttributes(User(8, 8), file, now).code(), Code::kAccess);
}

TEST_P(Conformance, ReadingTouchesAFileHoweverOldItsTimesAre) {
  FileId file = MakeFile(top(), "f", 0666);
  AttributeChange set;
  set.modify_time = Time{INT64_MIN, 0};
  set.access_time = Time{INT64_MIN, 1};
  ASSERT_EQ(fs().SetAttributes(Root(), file, set).code(), Code::kOk);
  std::array<std::byte, 1> buffer{};
  ASSERT_TRUE(fs().Read(Root(), file, false, 0, buffer).ok());
  EXPECT_EQ(Get(file).access_time, Now());
}

TEST_P(Conformance, SizeIsForWriters) {
  FileId file = Chown(MakeFile(top(), "f", 0444), 7, 7);
  WriteText(file, 0, "0123456789");
  AttributeChange change;
  change.size = 4;
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kAccess);
  change.opened_for_write = true;
  Tick();
  EXPECT_EQ(fs().SetAttributes(User(7, 7), file, change).code(), Code::kOk);
  EXPECT_EQ(Get(file).size, 4u);
  EXPECT_EQ(Get(file).modify_time, Now());
  EXPECT_EQ(Get(file).change_time, Now());
  EXPECT_EQ(ReadText(file), "0123");
  EXPECT_EQ(SetSize(Root(), top(), 0), Code::kIsDirectory);
  EXPECT_EQ(SetSize(Root(), MakeSymlink(top(), "s", "t"), 0), Code::kInvalid);
  EXPECT_EQ(SetSize(Root(), file, kFileBytesMax + 1), Code::kFileTooBig);
  EXPECT_EQ(SetSize(Root(), file, kFileBytesMax), Code::kOk);
  EXPECT_EQ(SetSize(Root(), file, 0), Code::kOk);
}

TEST_P(Conformance, SetgidDirectoriesGiveTheirGroup) {
  FileId directory = Chown(MakeDirectory(top(), "d", 0777), 7, 70);
  ASSERT_EQ(SetMode(Root(), directory, 02777), Code::kOk);
  EXPECT_EQ(Get(MakeFileAs(User(8, 8), directory, "f")).gid, 70u);
  FileId below = MakeDirectoryAs(User(8, 8), directory, "e", 0755);
  EXPECT_EQ(Get(below).gid, 70u);
  EXPECT_EQ(Get(below).mode, 02755u);
  FileId foreign = MakeFileAs(User(8, 8), directory, "g", 02755);
  EXPECT_EQ(Get(foreign).mode, 0755u);
}

TEST_P(Conformance, DirectoriesAskForTheirBits) {
  FileId directory = Chown(MakeDirectory(top(), "d"), 7, 70);
  MakeFile(directory, "f");
  Caller group = User(8, 8, {70});
  auto list = [&](const Caller& caller) {
    return fs().ReadDirectory(caller, directory, 0, false, [](const auto&) { return true; }).code();
  };
  ASSERT_EQ(SetMode(Root(), directory, 0750), Code::kOk);
  EXPECT_EQ(fs().Lookup(group, directory, "f").code(), Code::kOk);
  EXPECT_EQ(list(group), Code::kOk);
  EXPECT_EQ(CreateCode(group, directory, "g"), Code::kAccess);
  EXPECT_EQ(CreateCode(group, directory, "f"), Code::kExists);
  EXPECT_EQ(fs().Remove(group, directory, "f").code(), Code::kAccess);
  EXPECT_EQ(fs().Lookup(User(8, 8), directory, "f").code(), Code::kAccess);
  EXPECT_EQ(list(User(8, 8)), Code::kAccess);
  ASSERT_EQ(SetMode(Root(), directory, 0740), Code::kOk);
  EXPECT_EQ(list(group), Code::kOk);
  EXPECT_EQ(fs().Lookup(group, directory, "f").code(), Code::kAccess);
  EXPECT_EQ(fs().Remove(group, directory, "f").code(), Code::kAccess);
  ASSERT_EQ(SetMode(Root(), directory, 0770), Code::kOk);
  FileId file = MakeFileAs(group, directory, "g");
  EXPECT_EQ(fs().Link(group, file, directory, "h").code(), Code::kOk);
  ASSERT_EQ(SetMode(Root(), directory, 0070), Code::kOk);  // the owner's class counts first
  EXPECT_EQ(fs().Lookup(User(7, 70), directory, "f").code(), Code::kAccess);
}

TEST_P(Conformance, ReadOnlyCallersChangeNothing) {
  FileId file = MakeFile(top(), "f", 0666);
  WriteText(file, 0, "text");
  Caller reader = Root();
  reader.read_only = true;
  CreateOptions unchecked;
  unchecked.mode = CreateMode::kUnchecked;
  EXPECT_EQ(CreateCode(reader, top(), "x"), Code::kReadOnly);
  EXPECT_EQ(CreateCode(reader, top(), "f", unchecked), Code::kOk);
  unchecked.attributes.size = 0;
  EXPECT_EQ(CreateCode(reader, top(), "f", unchecked), Code::kReadOnly);
  EXPECT_EQ(fs().Link(reader, file, top(), "x").code(), Code::kReadOnly);
  EXPECT_EQ(fs().Remove(reader, top(), "f").code(), Code::kReadOnly);
  EXPECT_EQ(RenameCode(reader, top(), "f", top(), "x"), Code::kReadOnly);
  EXPECT_EQ(SetMode(reader, file, 0600), Code::kReadOnly);
  EXPECT_EQ(SetSize(reader, file, 0), Code::kReadOnly);
  EXPECT_EQ(WriteCode(reader, file, 0, 1), Code::kReadOnly);
  EXPECT_EQ(fs().Open(reader, file, true, true).code(), Code::kReadOnly);
  ASSERT_EQ(fs().Open(reader, file, true, false).code(), Code::kOk);
  fs().Unpin(file);
  EXPECT_EQ(ReadText(file), "text");
}

TEST_P(Conformance, ChangeAttributesOnlyGrow) {
  FileId file = MakeFile(top(), "f");
  uint64_t last = Get(file).change;
  auto grown = [&] {
    uint64_t now = Get(file).change;
    bool bigger = now > last;
    last = now;
    return bigger;
  };
  WriteText(file, 0, "a", Stability::kUnstable);
  EXPECT_TRUE(grown());
  WriteText(file, 0, "b");
  EXPECT_TRUE(grown());
  ASSERT_EQ(SetSize(Root(), file, 0), Code::kOk);
  EXPECT_TRUE(grown());
  ASSERT_EQ(SetMode(Root(), file, 0600), Code::kOk);
  EXPECT_TRUE(grown());
  Restart();
  EXPECT_GE(Get(file).change, last);
  WriteText(file, 0, "c");
  EXPECT_TRUE(grown());
}

}  // namespace tarn::engine::testing
