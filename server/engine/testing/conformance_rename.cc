// Rename, as POSIX.1-2017 rename().
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

TEST_P(Conformance, RenamesWithinAndAcrossDirectories) {
  FileId file = MakeFile(top(), "f");
  FileId directory = MakeDirectory(top(), "d");
  uint64_t change = Get(file).change;
  Tick();
  auto within = fs().Rename(Root(), top(), "f", top(), "g");
  ASSERT_EQ(within.code(), Code::kOk);
  EXPECT_GT(within->source.after, within->source.before);
  EXPECT_EQ(within->source.after, Get(top()).change);
  EXPECT_EQ(within->target.after, within->source.after);
  EXPECT_GT(Get(file).change, change);
  EXPECT_EQ(Get(file).change_time, Now());
  EXPECT_LT(Get(file).modify_time, Now());
  Tick();
  auto across = fs().Rename(Root(), top(), "g", directory, "h");
  ASSERT_EQ(across.code(), Code::kOk);
  EXPECT_EQ(across->source.after, Get(top()).change);
  EXPECT_EQ(across->target.after, Get(directory).change);
  EXPECT_GT(across->target.after, across->target.before);
  EXPECT_EQ(Get(top()).modify_time, Now());
  EXPECT_EQ(Get(directory).modify_time, Now());
  EXPECT_EQ(fs().Lookup(Root(), directory, "h")->id, file);
  EXPECT_THAT(Names(top()), ElementsAre("d"));
}

TEST_P(Conformance, RenameMovesDirectories) {
  FileId one = MakeDirectory(top(), "one");
  FileId two = MakeDirectory(top(), "two");
  FileId child = MakeDirectory(one, "child");
  EXPECT_EQ(Get(one).links, 3u);
  ASSERT_EQ(RenameCode(Root(), one, "child", two, "moved"), Code::kOk);
  EXPECT_EQ(Get(one).links, 2u);
  EXPECT_EQ(Get(two).links, 3u);
  EXPECT_EQ(fs().LookupParent(Root(), child)->id, two);
  EXPECT_EQ(RenameCode(Root(), top(), "nothing", top(), "x"), Code::kNoEntry);
}

TEST_P(Conformance, RenameReplacesFiles) {
  FileId file = MakeFile(top(), "f");
  FileId old = MakeFile(top(), "old");
  WriteText(old, 0, std::string(10'000, 'o'));
  ASSERT_EQ(RenameCode(Root(), top(), "f", top(), "old"), Code::kOk);
  EXPECT_EQ(fs().Lookup(Root(), top(), "old")->id, file);
  EXPECT_EQ(fs().GetAttributes(Root(), old).code(), Code::kStale);
  EXPECT_THAT(Names(top()), ElementsAre("old"));
  ExpectExactUsage();
  // A replaced file with another name lives on under it.
  FileId linked = MakeFile(top(), "a");
  ASSERT_EQ(fs().Link(Root(), linked, top(), "b").code(), Code::kOk);
  ASSERT_EQ(RenameCode(Root(), top(), "old", top(), "a"), Code::kOk);
  EXPECT_EQ(Get(linked).links, 1u);
  // A symlink is replaced itself, not what it leads to.
  MakeSymlink(top(), "s", "a");
  ASSERT_EQ(RenameCode(Root(), top(), "b", top(), "s"), Code::kOk);
  EXPECT_EQ(fs().Lookup(Root(), top(), "s")->id, linked);
}

TEST_P(Conformance, RenameReplacesOnlyEmptyDirectories) {
  FileId one = MakeDirectory(top(), "one");
  FileId two = MakeDirectory(top(), "two");
  MakeFile(two, "f");
  EXPECT_EQ(RenameCode(Root(), top(), "one", top(), "two"), Code::kNotEmpty);
  ASSERT_EQ(fs().Remove(Root(), two, "f").code(), Code::kOk);
  EXPECT_EQ(RenameCode(Root(), top(), "one", top(), "two"), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(Root(), two).code(), Code::kStale);
  EXPECT_EQ(fs().Lookup(Root(), top(), "two")->id, one);
  EXPECT_EQ(Get(top()).links, 3u);
  MakeFile(top(), "f");
  EXPECT_EQ(RenameCode(Root(), top(), "f", top(), "two"), Code::kIsDirectory);
  EXPECT_EQ(RenameCode(Root(), top(), "two", top(), "f"), Code::kNotDirectory);
}

TEST_P(Conformance, RenameOfTwoNamesOfOneFileDoesNothing) {
  FileId file = MakeFile(top(), "a");
  ASSERT_EQ(fs().Link(Root(), file, top(), "b").code(), Code::kOk);
  EXPECT_EQ(RenameCode(Root(), top(), "a", top(), "b"), Code::kOk);
  EXPECT_EQ(RenameCode(Root(), top(), "a", top(), "a"), Code::kOk);
  EXPECT_THAT(Names(top()), UnorderedElementsAre("a", "b"));
  EXPECT_EQ(Get(file).links, 2u);
}

TEST_P(Conformance, DirectoriesDoNotGoIntoThemselves) {
  FileId one = MakeDirectory(top(), "one");
  FileId two = MakeDirectory(one, "two");
  FileId three = MakeDirectory(two, "three");
  EXPECT_EQ(RenameCode(Root(), top(), "one", one, "x"), Code::kInvalid);
  EXPECT_EQ(RenameCode(Root(), top(), "one", three, "x"), Code::kInvalid);
  // Up over an ancestor: that one is not empty.
  EXPECT_EQ(RenameCode(Root(), two, "three", top(), "one"), Code::kNotEmpty);
  EXPECT_EQ(RenameCode(Root(), top(), "one", top(), "one"), Code::kOk);
}

TEST_P(Conformance, RenameNeedsBothDirectories) {
  FileId from = Chown(MakeDirectory(top(), "from"), 7, 7);
  FileId to = MakeDirectory(top(), "to");
  MakeFileAs(User(7, 7), from, "f");
  EXPECT_EQ(RenameCode(User(7, 7), from, "f", to, "f"), Code::kAccess);
  ASSERT_EQ(SetMode(Root(), to, 0777), Code::kOk);
  EXPECT_EQ(RenameCode(User(7, 7), from, "f", to, "f"), Code::kOk);
  EXPECT_EQ(RenameCode(User(8, 8), to, "f", from, "f"), Code::kAccess);
  EXPECT_EQ(RenameCode(User(8, 8), to, "f", to, "g"), Code::kOk);
}

TEST_P(Conformance, ADirectoryThatMovesMustBeWritable) {
  FileId to = MakeDirectory(top(), "to", 0777);
  MakeDirectory(top(), "d", 0755);
  EXPECT_EQ(RenameCode(User(8, 8), top(), "d", to, "d"), Code::kAccess);
  EXPECT_EQ(RenameCode(User(8, 8), top(), "d", top(), "e"), Code::kOk);
}

TEST_P(Conformance, StickyDirectoriesKeepNamesForTheirOwners) {
  FileId sticky = MakeDirectory(top(), "tmp", 01777);
  MakeFileAs(User(7, 7), sticky, "seven");
  MakeFileAs(User(8, 8), sticky, "eight");
  EXPECT_EQ(fs().Remove(User(8, 8), sticky, "seven").code(), Code::kPermission);
  EXPECT_EQ(RenameCode(User(8, 8), sticky, "seven", sticky, "x"), Code::kPermission);
  EXPECT_EQ(RenameCode(User(8, 8), sticky, "seven", top(), "x"), Code::kPermission);
  EXPECT_EQ(RenameCode(User(8, 8), sticky, "eight", sticky, "seven"), Code::kPermission);
  EXPECT_EQ(RenameCode(User(8, 8), sticky, "eight", sticky, "nine"), Code::kOk);
  EXPECT_EQ(fs().Remove(User(7, 7), sticky, "seven").code(), Code::kOk);
  Chown(sticky, 9, 9);
  EXPECT_EQ(fs().Remove(User(9, 9), sticky, "nine").code(), Code::kOk);
}

}  // namespace tarn::engine::testing
