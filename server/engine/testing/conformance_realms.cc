// Realms: roots, confinement, usage, quota, end.
#include <chrono>
#include <thread>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

const CreationInfo kCreation{.owner_uid = 70, .owner_gid = 71, .permissions = 0750};
constexpr uint64_t kMiB = uint64_t{1} << 20;

}  // namespace

TEST_P(Conformance, EnsureRealmMakesItsPath) {
  EXPECT_EQ(*fs().EnsureRealm("/", std::nullopt), kRootRealm);
  EXPECT_EQ(fs().EnsureRealm("/a/b", std::nullopt).code(), Code::kNoEntry);
  EXPECT_EQ(fs().EnsureRealm("/a", std::nullopt).code(), Code::kNoEntry);
  auto realm = fs().EnsureRealm("/a/b/c", kCreation);
  ASSERT_EQ(realm.code(), Code::kOk);
  EXPECT_NE(*realm, kRootRealm);
  FileId root = RootOf(*realm);
  EXPECT_EQ(Get(root).mode, 0750u);
  EXPECT_EQ(Get(root).uid, 70u);
  EXPECT_EQ(Get(root).gid, 71u);
  EXPECT_EQ(Get(root).realm, *realm);
  FileId above = fs().LookupParent(Root(), root)->id;
  EXPECT_EQ(Get(above).uid, 0u);
  EXPECT_EQ(Get(above).mode, 0755u);
  EXPECT_EQ(Get(above).realm, kRootRealm);
  EXPECT_EQ(UsageOf(*realm).files, 1u);
  EXPECT_EQ(*fs().EnsureRealm("/a/b/c", kCreation), *realm);
  EXPECT_EQ(*fs().EnsureRealm("//a/b/c/", std::nullopt), *realm);
  Restart();
  EXPECT_EQ(*fs().EnsureRealm("/a/b/c", std::nullopt), *realm);
  EXPECT_EQ(RootOf(*realm), root);
  auto other = fs().EnsureRealm("/other", kCreation);
  ASSERT_EQ(other.code(), Code::kOk);
  EXPECT_NE(*other, *realm);
}

TEST_P(Conformance, EnsureRealmRefusesBadPaths) {
  MakeFile(top(), "file");
  MakeSymlink(top(), "link", "/");
  for (std::string_view path : {"", "relative", "/a/../b", "/."}) {
    EXPECT_EQ(fs().EnsureRealm(path, kCreation).code(), Code::kInvalid) << path;
  }
  for (std::string_view path : {"/file", "/file/below", "/link", "/link/below"}) {
    EXPECT_EQ(fs().EnsureRealm(path, kCreation).code(), Code::kNotDirectory) << path;
  }
  EXPECT_EQ(fs().EnsureRealm("/" + std::string(256, 'n'), kCreation).code(), Code::kNameTooLong);
  EXPECT_EQ(fs().RealmRoot(12345).code(), Code::kNotFound);
  EXPECT_EQ(fs().GetSpace(12345).code(), Code::kNotFound);
  EXPECT_EQ(fs().SetQuota(12345, {}).code(), Code::kNotFound);
  EXPECT_EQ(fs().RemoveRealm(12345, true).code(), Code::kNotFound);
  EXPECT_EQ(fs().RemoveRealm(kRootRealm, true).code(), Code::kInvalid);
}

TEST_P(Conformance, ExistingDirectoriesBecomeRealmsWithWhatTheyHold) {
  FileId directory = MakeDirectory(top(), "d");
  FileId below = MakeDirectory(directory, "e");
  FileId file = MakeFile(below, "f");
  MakeSymlink(below, "s", "t");
  WriteText(file, 0, std::string(100'000, 'x'));
  Usage whole = UsageOf(kRootRealm);
  RealmId realm = MakeRealm("/d");
  EXPECT_EQ(RootOf(realm), directory);
  EXPECT_EQ(Get(file).realm, realm);
  EXPECT_EQ(UsageOf(realm).files, 4u);
  EXPECT_EQ(UsageOf(kRootRealm), whole);
  ExpectExactUsage();
  // A realm between an outer and an inner one.
  RealmId inner = MakeRealm("/d/e/in");
  RealmId middle = MakeRealm("/d/e");
  WriteText(MakeFile(RootOf(inner), "g"), 0, "g");
  EXPECT_EQ(Get(file).realm, middle);
  EXPECT_EQ(Get(RootOf(inner)).realm, inner);
  EXPECT_EQ(UsageOf(inner).files, 2u);
  EXPECT_EQ(UsageOf(middle).files, 5u);
  EXPECT_EQ(UsageOf(realm).files, 6u);
  ExpectExactUsage();
}

TEST_P(Conformance, UsageFollowsEveryChange) {
  RealmId outer = MakeRealm("/outer");
  RealmId inner = MakeRealm("/outer/inner");
  FileId root = RootOf(inner);
  FileId file = MakeFile(root, "f");
  auto exact = [&](uint64_t files) {
    EXPECT_EQ(UsageOf(inner).files, files);
    EXPECT_EQ(UsageOf(outer).files, files + 1);
    ExpectExactUsage();
  };
  exact(2);
  WriteText(file, 0, std::string(123'456, 'x'));
  exact(2);
  EXPECT_GE(UsageOf(inner).bytes, 123'456u);
  WriteText(file, 50'000'000, "far", Stability::kUnstable);
  exact(2);
  ASSERT_EQ(SetSize(Root(), file, 1000), Code::kOk);
  exact(2);
  ASSERT_EQ(fs().Link(Root(), file, root, "g").code(), Code::kOk);
  exact(2);
  MakeDirectory(root, "d");
  MakeSymlink(root, "s", "f");
  exact(4);
  ASSERT_EQ(fs().Remove(Root(), root, "f").code(), Code::kOk);
  exact(4);
  MakeFile(root, "h");
  ASSERT_EQ(RenameCode(Root(), root, "h", root, "g"), Code::kOk);
  exact(4);
  Restart();
  exact(4);
  for (std::string_view name : {"g", "d", "s"}) {
    ASSERT_EQ(fs().Remove(Root(), root, name).code(), Code::kOk);
  }
  exact(1);
}

TEST_P(Conformance, NamesDoNotCrossRealms) {
  RealmId one = MakeRealm("/one");
  RealmId two = MakeRealm("/two");
  FileId file = MakeFile(RootOf(one), "f");
  FileId outside = MakeFile(top(), "outside");
  EXPECT_EQ(RenameCode(Root(), RootOf(one), "f", RootOf(two), "f"), Code::kCrossDevice);
  EXPECT_EQ(RenameCode(Root(), RootOf(one), "f", top(), "f"), Code::kCrossDevice);
  EXPECT_EQ(RenameCode(Root(), top(), "outside", RootOf(one), "f"), Code::kCrossDevice);
  EXPECT_EQ(fs().Link(Root(), file, RootOf(two), "f").code(), Code::kCrossDevice);
  EXPECT_EQ(fs().Link(Root(), outside, RootOf(two), "f").code(), Code::kCrossDevice);
  EXPECT_EQ(fs().Link(Root(), file, top(), "f").code(), Code::kCrossDevice);
  MakeDirectory(top(), "d");
  EXPECT_EQ(RenameCode(Root(), top(), "d", RootOf(two), "d"), Code::kCrossDevice);
  EXPECT_EQ(RenameCode(Root(), RootOf(one), "f", RootOf(one), "g"), Code::kOk);
}

TEST_P(Conformance, RealmRootsStayWhereTheyAre) {
  RealmId realm = MakeRealm("/realm");
  MakeDirectory(top(), "d");
  EXPECT_EQ(fs().Remove(Root(), top(), "realm").code(), Code::kInUse);
  EXPECT_EQ(RenameCode(Root(), top(), "realm", top(), "x"), Code::kInUse);
  EXPECT_EQ(RenameCode(Root(), top(), "d", top(), "realm"), Code::kInUse);
  EXPECT_EQ(Get(RootOf(realm)).links, 2u);
}

TEST_P(Conformance, CallersStayInTheirRealm) {
  RealmId mine = MakeRealm("/mine");
  RealmId sibling = MakeRealm("/sibling");
  RealmId below = MakeRealm("/mine/below");
  FileId outside = MakeFile(top(), "outside");
  FileId foreign = MakeFile(RootOf(sibling), "f");
  FileId inside = MakeFile(RootOf(mine), "f");
  FileId deep = MakeFile(RootOf(below), "f");
  Caller caller = Root(mine);
  std::string text(4, '?');
  auto buffer = std::as_writable_bytes(std::span(text));
  for (FileId file : {outside, foreign}) {
    EXPECT_EQ(fs().GetAttributes(caller, file).code(), Code::kStale);
    EXPECT_EQ(SetMode(caller, file, 0600), Code::kStale);
    EXPECT_EQ(fs().Open(caller, file, true, false).code(), Code::kStale);
    EXPECT_EQ(fs().Read(caller, file, true, 0, buffer).code(), Code::kStale);
    EXPECT_EQ(WriteCode(caller, file, 0, 1), Code::kStale);
    EXPECT_EQ(fs().Commit(caller, file, 0, 0).code(), Code::kStale);
    EXPECT_EQ(fs().Link(caller, file, RootOf(mine), "x").code(), Code::kStale);
    EXPECT_EQ(fs().ReadSymlink(caller, file).code(), Code::kStale);
  }
  for (FileId directory : {top(), RootOf(sibling)}) {
    EXPECT_EQ(fs().Lookup(caller, directory, "f").code(), Code::kStale);
    EXPECT_EQ(fs().LookupParent(caller, directory).code(), Code::kStale);
    EXPECT_EQ(CreateCode(caller, directory, "x"), Code::kStale);
    EXPECT_EQ(fs().Remove(caller, directory, "f").code(), Code::kStale);
    EXPECT_EQ(RenameCode(caller, RootOf(mine), "f", directory, "x"), Code::kStale);
    EXPECT_EQ(RenameCode(caller, directory, "f", RootOf(mine), "x"), Code::kStale);
    auto list = fs().ReadDirectory(caller, directory, 0, false, [](const auto&) { return true; });
    EXPECT_EQ(list.code(), Code::kStale);
  }
  EXPECT_EQ(fs().LookupParent(caller, RootOf(mine)).code(), Code::kNoEntry);
  EXPECT_EQ(fs().LookupParent(caller, RootOf(below))->id, RootOf(mine));
  EXPECT_EQ(fs().GetAttributes(caller, inside).code(), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(caller, deep).code(), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(Root(below), inside).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(777), inside).code(), Code::kStale);
}

TEST_P(Conformance, QuotaOfBytes) {
  RealmId realm = MakeRealm("/realm");
  FileId file = MakeFile(RootOf(realm), "f");
  uint64_t limit = UsageOf(realm).bytes + 2 * kMiB;
  ASSERT_EQ(fs().SetQuota(realm, {.bytes_max = limit, .files_max = 0}).code(), Code::kOk);
  auto space = fs().GetSpace(realm);
  EXPECT_EQ(space->bytes_total, limit);
  EXPECT_EQ(space->bytes_free, 2 * kMiB);
  EXPECT_EQ(space->quota.bytes_max, limit);
  EXPECT_EQ(WriteCode(Root(), file, 0, kMiB), Code::kOk);
  constexpr uint64_t kStep = 65'536;
  uint64_t offset = kMiB;
  Code code = Code::kOk;
  while (code == Code::kOk && offset <= 2 * kMiB) {
    code = WriteCode(Root(), file, offset, kStep);
    offset += kStep;
  }
  EXPECT_EQ(code, Code::kQuota);
  EXPECT_GE(UsageOf(realm).bytes, limit - kMiB);
  EXPECT_LE(UsageOf(realm).bytes, limit);
  ExpectExactUsage();
  EXPECT_EQ(WriteCode(Root(), file, 0, 4096), Code::kOk);   // in place: nothing grows
  EXPECT_EQ(SetSize(Root(), file, 100 * kMiB), Code::kOk);  // a hole costs nothing
  EXPECT_EQ(WriteCode(Root(), file, 99 * kMiB, 200'000), Code::kQuota);
  ASSERT_EQ(SetSize(Root(), file, 0), Code::kOk);
  EXPECT_EQ(WriteCode(Root(), file, 0, kMiB), Code::kOk);
  Restart();
  EXPECT_EQ(fs().GetSpace(realm)->quota.bytes_max, limit);
  EXPECT_EQ(WriteCode(Root(), file, 0, kMiB), Code::kOk);
  ASSERT_EQ(fs().SetQuota(realm, {}).code(), Code::kOk);
  EXPECT_EQ(WriteCode(Root(), file, 4 * kMiB, kMiB), Code::kOk);
  EXPECT_GT(fs().GetSpace(realm)->bytes_total, limit);
}

TEST_P(Conformance, QuotaOfFiles) {
  RealmId realm = MakeRealm("/realm");
  FileId root = RootOf(realm);
  ASSERT_EQ(fs().SetQuota(realm, {.bytes_max = 0, .files_max = 4}).code(), Code::kOk);
  EXPECT_EQ(fs().GetSpace(realm)->files_total, 4u);
  EXPECT_EQ(fs().GetSpace(realm)->files_free, 3u);
  FileId file = MakeFile(root, "f");
  MakeDirectory(root, "d");
  MakeSymlink(root, "s", "f");
  EXPECT_EQ(CreateCode(Root(), root, "g"), Code::kQuota);
  EXPECT_EQ(fs().Link(Root(), file, root, "h").code(), Code::kOk);  // a name is no file
  ASSERT_EQ(fs().Remove(Root(), root, "s").code(), Code::kOk);
  EXPECT_EQ(CreateCode(Root(), root, "g"), Code::kOk);
  ASSERT_EQ(fs().SetQuota(realm, {.bytes_max = 0, .files_max = 2}).code(), Code::kOk);
  EXPECT_EQ(fs().GetSpace(realm)->files_free, 0u);
  EXPECT_EQ(CreateCode(Root(), root, "i"), Code::kQuota);
  ExpectExactUsage();
}

TEST_P(Conformance, QuotaOfAnOuterRealmHoldsInside) {
  RealmId outer = MakeRealm("/outer");
  RealmId inner = MakeRealm("/outer/inner");
  ASSERT_EQ(fs().SetQuota(outer, {.bytes_max = 0, .files_max = 3}).code(), Code::kOk);
  EXPECT_EQ(CreateCode(Root(), RootOf(inner), "f"), Code::kOk);
  EXPECT_EQ(CreateCode(Root(), RootOf(inner), "g"), Code::kQuota);
  EXPECT_EQ(fs().EnsureRealm("/outer/more", kCreation).code(), Code::kQuota);
  EXPECT_EQ(CreateCode(Root(), top(), "g"), Code::kOk);
}

TEST_P(Conformance, ForgottenRealmsLeaveTheirFiles) {
  RealmId outer = MakeRealm("/outer");
  RealmId inner = MakeRealm("/outer/inner");
  RealmId innermost = MakeRealm("/outer/inner/most");
  FileId file = MakeFile(RootOf(inner), "f");
  FileId root = RootOf(inner);
  WriteText(file, 0, "data");
  Usage before = UsageOf(outer);
  ASSERT_EQ(fs().RemoveRealm(inner, false).code(), Code::kOk);
  EXPECT_EQ(fs().RealmRoot(inner).code(), Code::kNotFound);
  EXPECT_EQ(fs().RemoveRealm(inner, false).code(), Code::kNotFound);
  EXPECT_EQ(fs().GetAttributes(Root(inner), file).code(), Code::kStale);
  EXPECT_EQ(Get(file).realm, outer);
  EXPECT_EQ(Get(RootOf(innermost)).realm, innermost);
  EXPECT_EQ(UsageOf(outer), before);
  EXPECT_EQ(RenameCode(Root(), root, "f", RootOf(outer), "f"), Code::kOk);
  RealmId again = MakeRealm("/outer/inner");
  EXPECT_NE(again, inner);
  EXPECT_EQ(UsageOf(again).files, 2u);
}

TEST_P(Conformance, DeletedRealmsGoWithTheirFiles) {
  RealmId realm = MakeRealm("/a/realm");
  RealmId inner = MakeRealm("/a/realm/inner");
  Usage empty = UsageOf(kRootRealm);
  FileId at = RootOf(realm);
  for (int depth = 0; depth < 5; ++depth) {
    for (int i = 0; i < 20; ++i) WriteText(MakeFile(at, "f" + std::to_string(i)), 0, "data");
    at = MakeDirectory(at, "d");
  }
  FileId root = RootOf(realm);
  FileId pinned = fs().Lookup(Root(), root, "f3")->id;
  ASSERT_EQ(fs().Pin(pinned).code(), Code::kOk);
  EXPECT_EQ(fs().RemoveRealm(realm, true).code(), Code::kInUse);
  ASSERT_EQ(fs().RemoveRealm(inner, true).code(), Code::kOk);
  ASSERT_EQ(fs().RemoveRealm(realm, true).code(), Code::kOk);
  FileId above = fs().Lookup(Root(), top(), "a")->id;
  EXPECT_EQ(fs().Lookup(Root(), above, "realm").code(), Code::kNoEntry);
  EXPECT_EQ(Get(above).links, 2u);
  EXPECT_EQ(fs().GetAttributes(Root(realm), root).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(realm), pinned).code(), Code::kStale);
  EXPECT_EQ(fs().RealmRoot(realm).code(), Code::kNotFound);
  fs().Unpin(pinned);
  // Reclaimed in the background: all but the two realms' roots, which `empty` counted.
  for (int i = 0; i < 1000 && UsageOf(kRootRealm).files != empty.files - 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(UsageOf(kRootRealm).files, empty.files - 2);
  RealmId again = MakeRealm("/a/realm");
  EXPECT_EQ(UsageOf(again).files, 1u);
}

}  // namespace tarn::engine::testing
