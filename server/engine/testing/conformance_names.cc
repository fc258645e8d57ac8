// Names: lookup, create, remove, hard links, symlinks, reading directories.
#include <set>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_P(Conformance, StartsWithAnEmptyRootDirectory) {
  Attributes root = Get(top());
  EXPECT_EQ(root.type, FileType::kDirectory);
  EXPECT_EQ(root.links, 2u);
  EXPECT_EQ(root.uid, 0u);
  EXPECT_EQ(root.realm, kRootRealm);
  EXPECT_THAT(Names(top()), IsEmpty());
  EXPECT_EQ(fs().LookupParent(Root(), top()).code(), Code::kNoEntry);
}

TEST_P(Conformance, CreatesAndFindsEveryType) {
  for (FileType type : {FileType::kRegular, FileType::kDirectory, FileType::kSymlink,
                        FileType::kFifo, FileType::kSocket}) {
    std::string name = "type" + std::to_string(static_cast<int>(type));
    CreateOptions options;
    options.type = type;
    if (type == FileType::kSymlink) options.symlink_target = "../somewhere";
    options.attributes.mode = 0640;
    Tick();
    auto made = fs().Create(User(7, 8), top(), name, options);
    ASSERT_EQ(made.code(), Code::kOk) << name;
    EXPECT_FALSE(made->existed);
    EXPECT_GT(made->directory.after, made->directory.before);
    EXPECT_EQ(made->directory.after, Get(top()).change);
    auto found = fs().Lookup(Root(), top(), name);
    ASSERT_EQ(found.code(), Code::kOk);
    EXPECT_EQ(found->id, made->attributes.id);
    EXPECT_EQ(found->type, type);
    if (type != FileType::kSymlink) {
      EXPECT_EQ(found->mode, 0640u);
    }
    EXPECT_EQ(found->links, type == FileType::kDirectory ? 2u : 1u);
    EXPECT_EQ(found->uid, 7u);
    EXPECT_EQ(found->gid, 8u);
    EXPECT_EQ(found->create_time, Now());
    EXPECT_EQ(found->modify_time, Now());
    EXPECT_EQ(found->change_time, Now());
  }
  EXPECT_EQ(Get(top()).links, 3u);
}

TEST_P(Conformance, KeepsTheNumbersOfDeviceNodes) {
  CreateOptions options;
  for (FileType type : {FileType::kBlockDevice, FileType::kCharacterDevice}) {
    options.type = type;
    options.device = {.major = 8, .minor = 0xfffff};
    std::string name = "device" + std::to_string(static_cast<int>(type));
    EXPECT_EQ(CreateCode(User(7, 8), top(), name, options), Code::kPermission);
    ASSERT_EQ(CreateCode(Root(), top(), name, options), Code::kOk);
    SetMode(Root(), fs().Lookup(Root(), top(), name)->id, 0600);
  }
  Restart();
  for (FileType type : {FileType::kBlockDevice, FileType::kCharacterDevice}) {
    auto found = fs().Lookup(Root(), top(), "device" + std::to_string(static_cast<int>(type)));
    ASSERT_EQ(found.code(), Code::kOk);
    EXPECT_EQ(found->type, type);
    EXPECT_EQ(found->device, options.device);
    EXPECT_EQ(fs().Open(Root(), found->id, true, false).code(), Code::kInvalid);
  }
  EXPECT_EQ(Get(MakeFile(top(), "f")).device, DeviceNumber());
}

TEST_P(Conformance, GivesDefaultModes) {
  CreateOptions options;
  EXPECT_EQ(fs().Create(Root(), top(), "f", options)->attributes.mode, 0644u);
  options.type = FileType::kDirectory;
  EXPECT_EQ(fs().Create(Root(), top(), "d", options)->attributes.mode, 0755u);
}

TEST_P(Conformance, CreatesWithAttributes) {
  CreateOptions options;
  options.attributes.mode = 0600;
  options.attributes.size = 5;
  options.attributes.modify_time = Time{1000, 17};
  auto made = fs().Create(User(7, 8, {9}), top(), "f", options);
  ASSERT_EQ(made.code(), Code::kOk);
  EXPECT_EQ(made->attributes.size, 5u);
  EXPECT_EQ(made->attributes.modify_time, (Time{1000, 17}));
  options.attributes.gid = 9;
  EXPECT_EQ(fs().Create(User(7, 8, {9}), top(), "g", options)->attributes.gid, 9u);
  options.attributes.gid = 10;
  EXPECT_EQ(CreateCode(User(7, 8, {9}), top(), "h", options), Code::kPermission);
  options.attributes.gid.reset();
  options.attributes.uid = 12;
  EXPECT_EQ(CreateCode(User(7, 8), top(), "h", options), Code::kPermission);
  EXPECT_EQ(fs().Create(Root(), top(), "i", options)->attributes.uid, 12u);
  options.type = FileType::kDirectory;
  EXPECT_EQ(CreateCode(Root(), top(), "j", options), Code::kInvalid);  // a size
  options.type = FileType::kRegular;
  options.attributes.size = kFileBytesMax + 1;
  EXPECT_EQ(CreateCode(Root(), top(), "j", options), Code::kFileTooBig);
  EXPECT_THAT(Names(top()), UnorderedElementsAre("f", "g", "i"));
}

TEST_P(Conformance, RefusesBadNamesEverywhere) {
  FileId file = MakeFile(top(), "f");
  const std::vector<std::pair<std::string, Code>> bad = {
      {"", Code::kInvalid},
      {".", Code::kInvalid},
      {"..", Code::kInvalid},
      {"a/b", Code::kInvalid},
      {std::string("a\0b", 3), Code::kInvalid},
      {std::string(kNameBytesMax + 1, 'n'), Code::kNameTooLong}};
  for (const auto& [name, code] : bad) {
    EXPECT_EQ(CreateCode(Root(), top(), name), code) << name;
    EXPECT_EQ(fs().Lookup(Root(), top(), name).code(), code) << name;
    EXPECT_EQ(fs().Link(Root(), file, top(), name).code(), code) << name;
    EXPECT_EQ(fs().Remove(Root(), top(), name).code(), code) << name;
    EXPECT_EQ(RenameCode(Root(), top(), name, top(), "x"), code) << name;
    EXPECT_EQ(RenameCode(Root(), top(), "f", top(), name), code) << name;
  }
  MakeFile(top(), std::string(kNameBytesMax, 'n'));
  MakeFile(top(), "\xff\xfe bytes are bytes\n");
  MakeFile(top(), "...");
}

TEST_P(Conformance, TellsWhatIsNoDirectoryAndWhatIsGone) {
  FileId file = MakeFile(top(), "f");
  FileId gone = MakeDirectory(top(), "gone");
  ASSERT_EQ(fs().Remove(Root(), top(), "gone").code(), Code::kOk);
  for (auto [where, code] : {std::pair{file, Code::kNotDirectory}, {gone, Code::kStale}}) {
    EXPECT_EQ(CreateCode(Root(), where, "x"), code);
    EXPECT_EQ(fs().Lookup(Root(), where, "x").code(), code);
    EXPECT_EQ(fs().LookupParent(Root(), where).code(), code);
    EXPECT_EQ(fs().Link(Root(), file, where, "x").code(), code);
    EXPECT_EQ(fs().Remove(Root(), where, "x").code(), code);
    EXPECT_EQ(RenameCode(Root(), where, "x", top(), "x"), code);
    EXPECT_EQ(RenameCode(Root(), top(), "f", where, "x"), code);
    auto list = fs().ReadDirectory(Root(), where, 0, false, [](const auto&) { return true; });
    EXPECT_EQ(list.code(), code);
  }
  EXPECT_EQ(fs().GetAttributes(Root(), gone).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(), {file.inode, file.generation + 1}).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(), {}).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(), {~uint64_t{0}, 1}).code(), Code::kStale);
  EXPECT_EQ(fs().Lookup(Root(), top(), "gone").code(), Code::kNoEntry);
  EXPECT_EQ(fs().Remove(Root(), top(), "gone").code(), Code::kNoEntry);
}

TEST_P(Conformance, GuardedCreateRefusesAnyExistingName) {
  MakeFile(top(), "f");
  MakeDirectory(top(), "d");
  MakeSymlink(top(), "s", "f");
  for (std::string_view name : {"f", "d", "s"}) {
    EXPECT_EQ(CreateCode(Root(), top(), name), Code::kExists);
    CreateOptions directory;
    directory.type = FileType::kDirectory;
    EXPECT_EQ(CreateCode(Root(), top(), name, directory), Code::kExists);
  }
}

TEST_P(Conformance, UncheckedCreateOpensAndCuts) {
  FileId file = MakeFile(top(), "f", 0600);
  WriteText(file, 0, "text");
  CreateOptions options;
  options.mode = CreateMode::kUnchecked;
  options.attributes.mode = 0777;
  auto opened = fs().Create(Root(), top(), "f", options);
  ASSERT_EQ(opened.code(), Code::kOk);
  EXPECT_TRUE(opened->existed);
  EXPECT_EQ(opened->attributes.id, file);
  EXPECT_EQ(opened->attributes.mode, 0600u);
  EXPECT_EQ(opened->attributes.size, 4u);
  EXPECT_EQ(opened->directory.before, opened->directory.after);
  options.attributes.size = 0;
  EXPECT_EQ(CreateCode(User(7, 8), top(), "f", options), Code::kAccess);
  EXPECT_EQ(fs().Create(Root(), top(), "f", options)->attributes.size, 0u);
  MakeDirectory(top(), "d");
  MakeSymlink(top(), "s", "f");
  EXPECT_EQ(CreateCode(Root(), top(), "d", options), Code::kIsDirectory);
  EXPECT_EQ(CreateCode(Root(), top(), "s", options), Code::kExists);
  EXPECT_FALSE(fs().Create(Root(), top(), "new", options)->existed);
}

TEST_P(Conformance, ExclusiveCreateIsRepeatableWithItsVerifier) {
  CreateOptions options;
  options.mode = CreateMode::kExclusive;
  options.verifier = 0x1234;
  auto made = fs().Create(Root(), top(), "f", options);
  ASSERT_EQ(made.code(), Code::kOk);
  EXPECT_FALSE(made->existed);
  Restart();
  auto again = fs().Create(Root(), top(), "f", options);
  ASSERT_EQ(again.code(), Code::kOk);
  EXPECT_TRUE(again->existed);
  EXPECT_EQ(again->attributes.id, made->attributes.id);
  options.verifier = 0x1235;
  EXPECT_EQ(CreateCode(Root(), top(), "f", options), Code::kExists);
  options.verifier = 0;
  MakeFile(top(), "plain");
  EXPECT_EQ(CreateCode(Root(), top(), "plain", options), Code::kExists);
  options.verifier = 0x1234;
  ASSERT_EQ(SetMode(Root(), made->attributes.id, 0600), Code::kOk);
  EXPECT_EQ(CreateCode(Root(), top(), "f", options), Code::kExists);
}

TEST_P(Conformance, RemovesFilesAndEmptyDirectories) {
  FileId directory = MakeDirectory(top(), "d");
  FileId file = MakeFile(directory, "f");
  EXPECT_EQ(Get(top()).links, 3u);
  EXPECT_EQ(fs().Remove(Root(), top(), "d").code(), Code::kNotEmpty);
  Tick();
  auto removed = fs().Remove(Root(), directory, "f");
  ASSERT_EQ(removed.code(), Code::kOk);
  EXPECT_GT(removed->after, removed->before);
  EXPECT_EQ(removed->after, Get(directory).change);
  EXPECT_EQ(Get(directory).modify_time, Now());
  EXPECT_EQ(Get(directory).change_time, Now());
  EXPECT_EQ(fs().GetAttributes(Root(), file).code(), Code::kStale);
  EXPECT_EQ(fs().Remove(Root(), top(), "d").code(), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(Root(), directory).code(), Code::kStale);
  EXPECT_EQ(Get(top()).links, 2u);
}

TEST_P(Conformance, NewFilesOfAnOldNameAreOtherFiles) {
  FileId first = MakeFile(top(), "f");
  ASSERT_EQ(fs().Remove(Root(), top(), "f").code(), Code::kOk);
  FileId second = MakeFile(top(), "f");
  EXPECT_NE(first, second);
  EXPECT_EQ(fs().GetAttributes(Root(), first).code(), Code::kStale);
}

TEST_P(Conformance, HardLinksAreOneFile) {
  FileId file = MakeFile(top(), "f");
  FileId directory = MakeDirectory(top(), "d");
  uint64_t change = Get(file).change;
  Tick();
  auto linked = fs().Link(Root(), file, directory, "g");
  ASSERT_EQ(linked.code(), Code::kOk);
  EXPECT_EQ(linked->after, Get(directory).change);
  EXPECT_GT(linked->after, linked->before);
  EXPECT_EQ(Get(file).links, 2u);
  EXPECT_GT(Get(file).change, change);
  EXPECT_EQ(Get(file).change_time, Now());
  EXPECT_LT(Get(file).modify_time, Now());
  WriteText(file, 0, "same");
  EXPECT_EQ(fs().Lookup(Root(), directory, "g")->id, file);
  ExpectExactUsage();
  Tick();
  ASSERT_EQ(fs().Remove(Root(), top(), "f").code(), Code::kOk);
  EXPECT_EQ(Get(file).links, 1u);
  EXPECT_EQ(Get(file).change_time, Now());
  EXPECT_EQ(ReadText(file), "same");
  EXPECT_EQ(fs().Link(Root(), file, directory, "g").code(), Code::kExists);
  EXPECT_EQ(fs().Link(Root(), directory, top(), "e").code(), Code::kIsDirectory);
  FileId symlink = MakeSymlink(top(), "s", "nowhere");
  EXPECT_EQ(fs().Link(Root(), symlink, top(), "t").code(), Code::kOk);
}

TEST_P(Conformance, LinksHaveALimit) {
  FileId file = MakeFile(top(), "f");
  for (uint32_t i = 1; i < kLinksMax; ++i) {
    ASSERT_EQ(fs().Link(Root(), file, top(), "l" + std::to_string(i)).code(), Code::kOk) << i;
  }
  EXPECT_EQ(Get(file).links, kLinksMax);
  EXPECT_EQ(fs().Link(Root(), file, top(), "over").code(), Code::kTooManyLinks);
  ASSERT_EQ(fs().Remove(Root(), top(), "l1").code(), Code::kOk);
  EXPECT_EQ(fs().Link(Root(), file, top(), "over").code(), Code::kOk);
}

TEST_P(Conformance, DirectoriesGoThousandDeep) {
  FileId at = top();
  for (uint32_t depth = 1; depth <= kDirectoryDepthMax; ++depth) at = MakeDirectory(at, "d");
  CreateOptions options;
  options.type = FileType::kDirectory;
  EXPECT_EQ(CreateCode(Root(), at, "d", options), Code::kNameTooLong);
  MakeFile(at, "f");
  MakeDirectory(top(), "e");
  EXPECT_EQ(RenameCode(Root(), top(), "e", at, "e"), Code::kNameTooLong);
}

TEST_P(Conformance, SymlinksHoldTheirTarget) {
  std::string longest(kSymlinkBytesMax, 't');
  FileId symlink = MakeSymlink(top(), "s", longest);
  EXPECT_EQ(*fs().ReadSymlink(Root(), symlink), longest);
  EXPECT_EQ(Get(symlink).size, kSymlinkBytesMax);
  CreateOptions options;
  options.type = FileType::kSymlink;
  std::string too_long(kSymlinkBytesMax + 1, 't');
  options.symlink_target = too_long;
  EXPECT_EQ(CreateCode(Root(), top(), "x", options), Code::kNameTooLong);
  options.symlink_target = "";
  EXPECT_EQ(CreateCode(Root(), top(), "x", options), Code::kInvalid);
  EXPECT_EQ(fs().ReadSymlink(Root(), MakeFile(top(), "f")).code(), Code::kInvalid);
  EXPECT_EQ(fs().ReadSymlink(Root(), top()).code(), Code::kInvalid);
  EXPECT_EQ(fs().Lookup(Root(), symlink, "x").code(), Code::kNotDirectory);
  EXPECT_EQ(fs().Open(Root(), symlink, true, false).code(), Code::kInvalid);
}

TEST_P(Conformance, FindsTheParent) {
  FileId one = MakeDirectory(top(), "one");
  FileId two = MakeDirectory(one, "two");
  EXPECT_EQ(fs().LookupParent(Root(), two)->id, one);
  EXPECT_EQ(fs().LookupParent(Root(), one)->id, top());
  ASSERT_EQ(RenameCode(Root(), one, "two", top(), "three"), Code::kOk);
  EXPECT_EQ(fs().LookupParent(Root(), two)->id, top());
  ASSERT_EQ(SetMode(Root(), two, 0600), Code::kOk);
  EXPECT_EQ(fs().LookupParent(User(7, 8), two).code(), Code::kAccess);
}

TEST_P(Conformance, ReadsDirectoriesInSteps) {
  std::set<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    std::string name = "entry" + std::to_string(i);
    if (i % 7 == 0) {
      MakeDirectory(top(), name);
    } else {
      MakeFile(top(), name);
    }
    expected.insert(name);
  }
  std::set<std::string> seen;
  std::set<uint64_t> cookies;
  uint64_t cookie = 0;
  bool end = false;
  while (!end) {
    size_t taken = 0;
    auto step = fs().ReadDirectory(Root(), top(), cookie, true, [&](const DirectoryEntry& entry) {
      if (taken == 7) return false;
      ++taken;
      EXPECT_TRUE(seen.emplace(entry.name).second) << entry.name;
      EXPECT_GT(entry.cookie, 2u);
      EXPECT_TRUE(cookies.insert(entry.cookie).second);
      EXPECT_EQ(fs().Lookup(Root(), top(), entry.name)->id, entry.attributes.id);
      EXPECT_EQ(entry.attributes.mode, Get(entry.attributes.id).mode);
      cookie = entry.cookie;
      return true;
    });
    ASSERT_EQ(step.code(), Code::kOk);
    end = *step;
    ASSERT_TRUE(end || taken == 7);
  }
  EXPECT_EQ(seen, expected);
}

TEST_P(Conformance, CookiesOutliveOtherChangesAndARestart) {
  for (int i = 0; i < 100; ++i) MakeFile(top(), "f" + std::to_string(i));
  std::vector<std::pair<std::string, uint64_t>> all;
  ASSERT_TRUE(*fs().ReadDirectory(Root(), top(), 0, false, [&](const DirectoryEntry& entry) {
    all.emplace_back(entry.name, entry.cookie);
    return true;
  }));
  ASSERT_EQ(all.size(), 100u);
  // Everything up to the middle goes, the entry of the cookie too; new names come.
  for (size_t i = 0; i <= 50; ++i) {
    ASSERT_EQ(fs().Remove(Root(), top(), all[i].first).code(), Code::kOk);
  }
  for (int i = 0; i < 50; ++i) MakeFile(top(), "new" + std::to_string(i));
  Restart();
  std::set<std::string> rest;
  ASSERT_TRUE(
      *fs().ReadDirectory(Root(), top(), all[50].second, false, [&](const DirectoryEntry& entry) {
        EXPECT_TRUE(rest.emplace(entry.name).second);
        return true;
      }));
  for (size_t i = 51; i < 100; ++i) EXPECT_TRUE(rest.contains(all[i].first)) << all[i].first;
}

TEST_P(Conformance, VisitorsMayCallBack) {
  MakeFile(top(), "f");
  FileId other = MakeDirectory(top(), "d");
  auto step = fs().ReadDirectory(Root(), top(), 0, true, [&](const DirectoryEntry& entry) {
    MakeFile(other, "seen-" + std::string(entry.name));
    return true;
  });
  EXPECT_EQ(step.code(), Code::kOk);
  EXPECT_THAT(Names(other), UnorderedElementsAre("seen-f", "seen-d"));
}

TEST_P(Conformance, ManyNamesInOneDirectory) {
  constexpr int kNames = 2000;
  FileId directory = MakeDirectory(top(), "d");
  for (int i = 0; i < kNames; ++i) MakeFile(directory, std::to_string(i));
  EXPECT_EQ(Names(directory).size(), static_cast<size_t>(kNames));
  for (int i = 0; i < kNames; ++i) {
    ASSERT_EQ(fs().Remove(Root(), directory, std::to_string(i)).code(), Code::kOk);
  }
  EXPECT_THAT(Names(directory), IsEmpty());
  EXPECT_EQ(fs().Remove(Root(), top(), "d").code(), Code::kOk);
}

}  // namespace tarn::engine::testing
