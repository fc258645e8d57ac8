// Data: read, write, commit, open, pins and orphans, what a crash leaves.
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

}  // namespace

TEST_P(Conformance, ReadsWhatWasWritten) {
  FileId file = MakeFile(top(), "f");
  Tick();
  uint64_t change = Get(file).change;
  WriteText(file, 0, "hello world");
  Attributes attributes = Get(file);
  EXPECT_EQ(attributes.size, 11u);
  EXPECT_GE(attributes.space_used, 11u);
  EXPECT_GT(attributes.change, change);
  EXPECT_EQ(attributes.modify_time, Now());
  EXPECT_EQ(attributes.change_time, Now());
  WriteText(file, 6, "there");
  EXPECT_EQ(ReadText(file), "hello there");
  EXPECT_EQ(ReadText(file, 6, 3), "the");
  EXPECT_EQ(ReadText(file, 11), "");
  EXPECT_EQ(ReadText(file, kGiB), "");
  std::string text(5, '?');
  auto buffer = std::as_writable_bytes(std::span(text));
  EXPECT_FALSE(fs().Read(Root(), file, false, 0, buffer)->end_of_file);
  EXPECT_TRUE(fs().Read(Root(), file, false, 6, buffer)->end_of_file);
  EXPECT_TRUE(fs().Read(Root(), file, false, 20, buffer)->end_of_file);
  change = Get(file).change;
  WriteText(file, 100, "");
  EXPECT_EQ(Get(file).size, 11u);
  EXPECT_EQ(Get(file).change, change);
}

TEST_P(Conformance, PatternsSurviveOddOffsets) {
  FileId file = MakeFile(top(), "f");
  std::string model;
  uint32_t random = 12345;
  for (int i = 0; i < 300; ++i) {
    random = random * 1664525 + 1013904223;
    size_t offset = (random >> 8) % 400'000;
    size_t length = 1 + (random >> 16) % 9'000;
    std::string text(length, static_cast<char>('a' + i % 26));
    if (i % 10 == 9) {
      ASSERT_EQ(SetSize(Root(), file, offset), Code::kOk);
      model.resize(offset);
      continue;
    }
    WriteText(file, offset, text, static_cast<Stability>(i % 3));
    if (model.size() < offset + length) model.resize(offset + length);
    model.replace(offset, length, text);
  }
  EXPECT_EQ(ReadText(file, 0, 1 << 20), model);
  ExpectExactUsage();
  ASSERT_EQ(fs().Commit(Root(), file, 0, 0).code(), Code::kOk);
  Restart();
  EXPECT_EQ(ReadText(file, 0, 1 << 20), model);
}

TEST_P(Conformance, LargestIo) {
  FileId file = MakeFile(top(), "f");
  std::string data(kIoBytesMax, 'd');
  WriteText(file, 1000, data);
  EXPECT_EQ(ReadText(file, 1000, kIoBytesMax), data);
  EXPECT_EQ(ReadText(file, 0, 1000), std::string(1000, '\0'));
  EXPECT_EQ(WriteCode(Root(), file, 0, kIoBytesMax + 1), Code::kInvalid);
}

TEST_P(Conformance, HolesReadAsZerosAndCostNothing) {
  FileId file = MakeFile(top(), "f");
  ASSERT_EQ(SetSize(Root(), file, 4 * kGiB), Code::kOk);
  EXPECT_EQ(Get(file).size, 4 * kGiB);
  EXPECT_EQ(Get(file).space_used, 0u);
  WriteText(file, 2 * kGiB + 5, "middle");
  EXPECT_LE(Get(file).space_used, uint64_t{2} << 20);
  EXPECT_GE(Get(file).space_used, 6u);
  EXPECT_EQ(ReadText(file, 2 * kGiB, 11), std::string("\0\0\0\0\0middle", 11));
  EXPECT_EQ(ReadText(file, 4 * kGiB - 3, 100), std::string(3, '\0'));
  WriteText(file, 5 * kGiB, "end");
  EXPECT_LE(Get(file).space_used, uint64_t{4} << 20);
  Restart();
  EXPECT_EQ(ReadText(file, 2 * kGiB + 5, 6), "middle");
  ASSERT_EQ(SetSize(Root(), file, 0), Code::kOk);
  EXPECT_EQ(Get(file).space_used, 0u);
}

TEST_P(Conformance, CutBytesDoNotComeBack) {
  FileId file = MakeFile(top(), "f");
  std::string data(200'000, 'd');
  WriteText(file, 0, data);
  for (uint64_t cut : {150'000u, 70'001u, 4096u, 3u}) {
    ASSERT_EQ(SetSize(Root(), file, cut), Code::kOk);
    ASSERT_EQ(SetSize(Root(), file, 200'000), Code::kOk);
    std::string expected = data.substr(0, cut) + std::string(200'000 - cut, '\0');
    EXPECT_EQ(ReadText(file, 0, 200'000), expected) << cut;
    ExpectExactUsage();
  }
  ASSERT_EQ(SetSize(Root(), file, 3), Code::kOk);
  WriteText(file, 10, "x");
  EXPECT_EQ(ReadText(file), std::string("ddd\0\0\0\0\0\0\0x", 11));
}

TEST_P(Conformance, FilesHaveALimit) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, kFileBytesMax - 4, "last");
  EXPECT_EQ(Get(file).size, kFileBytesMax);
  EXPECT_EQ(WriteCode(Root(), file, kFileBytesMax, 1), Code::kFileTooBig);
  EXPECT_EQ(WriteCode(Root(), file, ~uint64_t{0}, 1), Code::kFileTooBig);
  EXPECT_EQ(WriteCode(Root(), file, ~uint64_t{0} - 8, 8), Code::kFileTooBig);
  EXPECT_EQ(ReadText(file, ~uint64_t{0}), "");
  EXPECT_EQ(ReadText(file, kFileBytesMax - 4), "last");
}

TEST_P(Conformance, DataIsOfRegularFilesOnly) {
  FileId symlink = MakeSymlink(top(), "s", "t");
  std::string text(4, '?');
  auto buffer = std::as_writable_bytes(std::span(text));
  for (auto [id, code] : {std::pair{top(), Code::kIsDirectory},
                          {symlink, Code::kInvalid},
                          {FileId{999'999, 1}, Code::kStale}}) {
    EXPECT_EQ(fs().Open(Root(), id, true, true).code(), code);
    EXPECT_EQ(fs().Read(Root(), id, false, 0, buffer).code(), code);
    EXPECT_EQ(WriteCode(Root(), id, 0, 1), code);
    EXPECT_EQ(fs().Commit(Root(), id, 0, 0).code(), code);
  }
}

TEST_P(Conformance, OpenChecksOnceAndPinsOnce) {
  FileId file = Chown(MakeFile(top(), "f", 0600), 7, 7);
  WriteText(file, 0, "text");
  Caller owner = User(7, 7);
  Caller other = User(8, 8);
  std::string text(4, '?');
  auto buffer = std::as_writable_bytes(std::span(text));
  EXPECT_EQ(fs().Open(other, file, true, false).code(), Code::kAccess);
  EXPECT_EQ(fs().Open(other, file, false, true).code(), Code::kAccess);
  ASSERT_EQ(fs().Open(owner, file, true, true).code(), Code::kOk);
  ASSERT_EQ(SetMode(owner, file, 0), Code::kOk);
  EXPECT_EQ(fs().Read(owner, file, true, 0, buffer).code(), Code::kOk);
  EXPECT_EQ(fs().Write(owner, file, true, 0, BytesOf("T"), Stability::kFileSync).code(), Code::kOk);
  EXPECT_EQ(fs().Read(owner, file, false, 0, buffer).code(), Code::kAccess);
  EXPECT_EQ(WriteCode(owner, file, 0, 1), Code::kAccess);
  fs().Unpin(file);
  EXPECT_EQ(fs().Open(owner, file, true, false).code(), Code::kAccess);
  EXPECT_EQ(ReadText(file), "Text");
}

TEST_P(Conformance, WritingDropsPrivilegeBits) {
  FileId file = Chown(MakeFile(top(), "f", 0777), 7, 7);
  ASSERT_EQ(SetMode(Root(), file, 06777), Code::kOk);
  ASSERT_EQ(WriteCode(User(8, 8), file, 0, 1), Code::kOk);
  EXPECT_EQ(Get(file).mode, 0777u);
  ASSERT_EQ(SetMode(Root(), file, 06777), Code::kOk);
  ASSERT_EQ(WriteCode(Root(), file, 0, 1), Code::kOk);
  EXPECT_EQ(Get(file).mode, 06777u);
  ASSERT_EQ(SetSize(User(8, 8), file, 0), Code::kOk);
  EXPECT_EQ(Get(file).mode, 0777u);
}

TEST_P(Conformance, PinnedFilesOutliveTheirNames) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "still here");
  ASSERT_EQ(fs().Open(Root(), file, true, true).code(), Code::kOk);
  ASSERT_EQ(fs().Pin(file).code(), Code::kOk);
  Usage before = UsageOf(kRootRealm);
  ASSERT_EQ(fs().Remove(Root(), top(), "f").code(), Code::kOk);
  EXPECT_EQ(Get(file).links, 0u);
  EXPECT_EQ(UsageOf(kRootRealm), before);
  ExpectSound();
  EXPECT_EQ(fs().Link(Root(), file, top(), "back").code(), Code::kNoEntry);
  WriteText(file, 10, "!");
  EXPECT_EQ(ReadText(file), "still here!");
  fs().Unpin(file);
  EXPECT_EQ(ReadText(file), "still here!");
  fs().Unpin(file);
  EXPECT_EQ(fs().GetAttributes(Root(), file).code(), Code::kStale);
  EXPECT_EQ(fs().Pin(file).code(), Code::kStale);
  fs().Unpin(file);  // of nothing: nothing
  EXPECT_EQ(UsageOf(kRootRealm).files, before.files - 1);
}

TEST_P(Conformance, ReplacedFilesAreOrphansToo) {
  FileId old = MakeFile(top(), "old");
  WriteText(old, 0, "old");
  ASSERT_EQ(fs().Pin(old).code(), Code::kOk);
  MakeFile(top(), "new");
  ASSERT_EQ(RenameCode(Root(), top(), "new", top(), "old"), Code::kOk);
  EXPECT_EQ(ReadText(old), "old");
  EXPECT_EQ(Get(old).links, 0u);
  fs().Unpin(old);
  EXPECT_EQ(fs().GetAttributes(Root(), old).code(), Code::kStale);
}

TEST_P(Conformance, OrphansWaitForTheEndOfGrace) {
  FileId reclaimed = MakeFile(top(), "reclaimed");
  FileId forgotten = MakeFile(top(), "forgotten");
  FileId named = MakeFile(top(), "named");
  for (FileId file : {reclaimed, forgotten, named}) {
    WriteText(file, 0, "data");
    ASSERT_EQ(fs().Pin(file).code(), Code::kOk);
  }
  ASSERT_EQ(fs().Remove(Root(), top(), "reclaimed").code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "forgotten").code(), Code::kOk);
  RestartInGrace();
  EXPECT_EQ(ReadText(forgotten), "data");
  ExpectSound();
  ASSERT_EQ(fs().Pin(reclaimed).code(), Code::kOk);
  ASSERT_EQ(fs().ReleaseOrphans().code(), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(Root(), forgotten).code(), Code::kStale);
  EXPECT_EQ(ReadText(reclaimed), "data");
  EXPECT_EQ(ReadText(named), "data");
  fs().Unpin(reclaimed);
  EXPECT_EQ(fs().GetAttributes(Root(), reclaimed).code(), Code::kStale);
  ASSERT_EQ(fs().Remove(Root(), top(), "named").code(), Code::kOk);  // its pin went
  EXPECT_EQ(fs().GetAttributes(Root(), named).code(), Code::kStale);
}

// Who had it open has not said so yet when its name goes.
TEST_P(Conformance, FilesThatLoseTheirNamesInGraceWaitToo) {
  FileId removed = MakeFile(top(), "removed");
  FileId replaced = MakeFile(top(), "replaced");
  FileId closed = MakeFile(top(), "closed");
  FileId forgotten = MakeFile(top(), "forgotten");
  for (FileId file : {removed, replaced, closed, forgotten}) {
    WriteText(file, 0, "data");
    ASSERT_EQ(fs().Pin(file).code(), Code::kOk);
  }
  MakeFile(top(), "other");
  RestartInGrace();
  ASSERT_EQ(fs().Remove(Root(), top(), "removed").code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "forgotten").code(), Code::kOk);
  ASSERT_EQ(RenameCode(Root(), top(), "other", top(), "replaced"), Code::kOk);
  // Two had it open, and the first to come back closes it before the second one comes.
  ASSERT_EQ(fs().Remove(Root(), top(), "closed").code(), Code::kOk);
  ASSERT_EQ(fs().Pin(closed).code(), Code::kOk);
  fs().Unpin(closed);
  ExpectSound();
  for (FileId file : {removed, replaced, closed}) {
    ASSERT_EQ(fs().Pin(file).code(), Code::kOk);
    EXPECT_EQ(ReadText(file), "data");
  }
  ASSERT_EQ(fs().ReleaseOrphans().code(), Code::kOk);
  EXPECT_EQ(fs().GetAttributes(Root(), forgotten).code(), Code::kStale);
  for (FileId file : {removed, replaced, closed}) {
    EXPECT_EQ(ReadText(file), "data");
    fs().Unpin(file);
    EXPECT_EQ(fs().GetAttributes(Root(), file).code(), Code::kStale);
  }
}

TEST_P(Conformance, StableWritesAndCommitsOutliveACrash) {
  FileId synced = MakeFile(top(), "synced");
  FileId committed = MakeFile(top(), "committed");
  FileId lost = MakeFile(top(), "lost");
  WriteText(synced, 0, "file sync", Stability::kFileSync);
  WriteText(synced, 9, " data sync", Stability::kDataSync);
  uint64_t verifier = fs().WriteVerifier();
  EXPECT_EQ(fs().WriteVerifier(), verifier);
  for (uint64_t i = 0; i < 50; ++i) {
    WriteText(committed, i * 5000, std::to_string(i), Stability::kUnstable);
  }
  ASSERT_EQ(fs().Commit(Root(), committed, 0, 0).code(), Code::kOk);
  WriteText(lost, 0, "maybe", Stability::kUnstable);
  EXPECT_EQ(ReadText(lost), "maybe");
  Restart();
  EXPECT_NE(fs().WriteVerifier(), verifier);
  EXPECT_EQ(ReadText(synced), "file sync data sync");
  for (uint64_t i = 0; i < 50; ++i) {
    std::string text = std::to_string(i);
    EXPECT_EQ(ReadText(committed, i * 5000, text.size()), text);
  }
  EXPECT_THAT(ReadText(lost), ::testing::AnyOf("", "maybe", std::string(5, '\0')));
}

TEST_P(Conformance, NamesAndAttributesOutliveACrash) {
  FileId directory = MakeDirectory(top(), "d", 0751);
  FileId file = MakeFile(directory, "f");
  MakeSymlink(directory, "s", "target");
  ASSERT_EQ(fs().Link(Root(), file, top(), "hard").code(), Code::kOk);
  ASSERT_EQ(RenameCode(Root(), directory, "f", directory, "g"), Code::kOk);
  ASSERT_EQ(SetMode(Root(), file, 0604), Code::kOk);
  MakeFile(top(), "removed");
  ASSERT_EQ(fs().Remove(Root(), top(), "removed").code(), Code::kOk);
  Attributes before = Get(file);
  Restart();
  Attributes after = Get(file);
  EXPECT_EQ(after.mode, 0604u);
  EXPECT_EQ(after.links, 2u);
  EXPECT_EQ(after.change, before.change);
  EXPECT_EQ(after.change_time, before.change_time);
  EXPECT_EQ(after.create_time, before.create_time);
  EXPECT_EQ(fs().Lookup(Root(), directory, "g")->id, file);
  EXPECT_EQ(fs().Lookup(Root(), top(), "hard")->id, file);
  EXPECT_EQ(fs().Lookup(Root(), top(), "removed").code(), Code::kNoEntry);
  EXPECT_EQ(fs().LookupParent(Root(), directory)->id, top());
  EXPECT_EQ(*fs().ReadSymlink(Root(), fs().Lookup(Root(), directory, "s")->id), "target");
  EXPECT_NE(MakeFile(top(), "later"), file);
}

}  // namespace tarn::engine::testing
