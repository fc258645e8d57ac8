// Sparse files and copies (RFC 7862 sections 15.1, 15.2, 15.4, 15.11).
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr uint64_t kBlock = kCloneBlockBytes;
constexpr uint64_t kMiB = uint64_t{1} << 20;

}  // namespace

TEST_P(Conformance, AllocateReservesAndGrows) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "head");
  Tick();
  uint64_t change = Get(file).change;
  ASSERT_EQ(fs().Allocate(Root(), file, false, 2, 3 * kMiB).code(), Code::kOk);
  Attributes after = Get(file);
  EXPECT_EQ(after.size, 3 * kMiB + 2);
  EXPECT_EQ(after.space_used, 3 * kMiB + kBlock);
  EXPECT_GT(after.change, change);
  EXPECT_EQ(after.change_time, Now());
  EXPECT_EQ(ReadText(file, 0, 8), std::string("head\0\0\0\0", 8));
  EXPECT_EQ(ReadText(file, 3 * kMiB - 2, 100), std::string(4, '\0'));
  // Once more is nothing; within the file the size stays.
  ASSERT_EQ(fs().Allocate(Root(), file, false, 0, kMiB).code(), Code::kOk);
  EXPECT_EQ(Get(file).size, 3 * kMiB + 2);
  WriteText(file, kMiB, "middle");
  EXPECT_EQ(Get(file).space_used, 3 * kMiB + kBlock);
  ExpectExactUsage();
  Restart();
  EXPECT_EQ(Get(file).space_used, 3 * kMiB + kBlock);
  EXPECT_EQ(ReadText(file, kMiB, 8), std::string("middle\0\0", 8));
}

TEST_P(Conformance, AllocateOfASmallFile) {
  FileId file = MakeFile(top(), "f");
  ASSERT_EQ(fs().Allocate(Root(), file, false, 0, 5000).code(), Code::kOk);
  EXPECT_EQ(Get(file).size, 5000u);
  EXPECT_EQ(Get(file).space_used, 2 * kBlock);
  EXPECT_TRUE(ReadText(file, 0, 5000) == std::string(5000, '\0'));
  ExpectExactUsage();
}

TEST_P(Conformance, AllocateDoesNotBringCutBytesBack) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, std::string(200'000, 'd'));
  ASSERT_EQ(SetSize(Root(), file, 100), Code::kOk);
  ASSERT_EQ(fs().Allocate(Root(), file, false, 0, 200'000).code(), Code::kOk);
  EXPECT_TRUE(ReadText(file, 0, 200'000) == std::string(100, 'd') + std::string(199'900, '\0'));
}

TEST_P(Conformance, AllocateRefusesWhatItCannotKeep) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "head");
  ASSERT_EQ(fs().SetQuota(kRootRealm, {.bytes_max = kMiB, .files_max = 0}).code(), Code::kOk);
  EXPECT_EQ(fs().Allocate(Root(), file, false, 0, 2 * kMiB).code(), Code::kQuota);
  EXPECT_EQ(Get(file).size, 4u);
  ASSERT_EQ(fs().Allocate(Root(), file, false, 0, kMiB / 2).code(), Code::kOk);
  ASSERT_EQ(fs().SetQuota(kRootRealm, {.bytes_max = kMiB / 4, .files_max = 0}).code(), Code::kOk);
  WriteText(file, kMiB / 4, std::string(kMiB / 4, 'x'));  // it is reserved
  ASSERT_EQ(fs().SetQuota(kRootRealm, {}).code(), Code::kOk);
  EXPECT_EQ(fs().Allocate(Root(), file, false, 0, 0).code(), Code::kInvalid);
  EXPECT_EQ(fs().Allocate(Root(), file, false, kFileBytesMax, 1).code(), Code::kFileTooBig);
  EXPECT_EQ(fs().Allocate(Root(), file, false, ~uint64_t{0}, 2).code(), Code::kFileTooBig);
  // More than any disk here has.
  EXPECT_EQ(fs().Allocate(Root(), file, false, 0, kFileBytesMax).code(), Code::kNoSpace);
  EXPECT_EQ(Get(file).size, kMiB / 2);
  ExpectExactUsage();
}

TEST_P(Conformance, DeallocateMakesHoles) {
  FileId file = MakeFile(top(), "f");
  std::string text = Pattern(kMiB, 1);
  WriteText(file, 0, text, Stability::kUnstable);
  Tick();
  uint64_t change = Get(file).change;
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 100'000, 200'000).code(), Code::kOk);
  std::fill_n(text.begin() + 100'000, 200'000, '\0');
  Attributes after = Get(file);
  EXPECT_EQ(after.size, kMiB);
  EXPECT_EQ(after.space_used, kMiB - (300'000 / kBlock - 100'000 / kBlock - 1) * kBlock);
  EXPECT_GT(after.change, change);
  EXPECT_EQ(after.modify_time, Now());
  EXPECT_TRUE(ReadText(file, 0, kMiB) == text);
  ExpectExactUsage();
  Restart();  // durable, with the writes before it
  EXPECT_TRUE(ReadText(file, 0, kMiB) == text);
  // Within one block; behind the end; up to the end and far beyond it.
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 10, 20).code(), Code::kOk);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 2 * kMiB, kMiB).code(), Code::kOk);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, kMiB - 10, ~uint64_t{0}).code(), Code::kOk);
  std::fill_n(text.begin() + 10, 20, '\0');
  std::fill_n(text.end() - 10, 10, '\0');
  EXPECT_TRUE(ReadText(file, 0, kMiB) == text);
  EXPECT_EQ(Get(file).size, kMiB);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 0, kMiB).code(), Code::kOk);
  EXPECT_EQ(Get(file).space_used, 0u);
  EXPECT_TRUE(ReadText(file, 0, kMiB) == std::string(kMiB, '\0'));
  WriteText(file, 5000, "new");
  EXPECT_EQ(ReadText(file, 4990, 20), std::string(10, '\0') + "new" + std::string(7, '\0'));
  EXPECT_EQ(fs().Deallocate(Root(), file, false, 0, 0).code(), Code::kInvalid);
  ExpectExactUsage();
}

TEST_P(Conformance, DeallocateOfASmallFile) {
  FileId file = MakeFile(top(), "f");
  std::string text = Pattern(10'000, 2);
  WriteText(file, 0, text);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 100, 6000).code(), Code::kOk);
  std::fill_n(text.begin() + 100, 6000, '\0');
  EXPECT_TRUE(ReadText(file, 0, 10'000) == text);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 0, 1 << 20).code(), Code::kOk);
  EXPECT_EQ(Get(file).size, 10'000u);
  EXPECT_EQ(Get(file).space_used, 0u);
  ExpectExactUsage();
  Restart();
  EXPECT_TRUE(ReadText(file, 0, 10'000) == std::string(10'000, '\0'));
}

TEST_P(Conformance, SeekFindsDataAndHoles) {
  FileId file = MakeFile(top(), "f");
  auto seek = [&](uint64_t offset, ExtentKind what) {
    auto found = fs().Seek(Root(), file, false, offset, what);
    EXPECT_TRUE(found.ok());
    return found.ok() ? std::pair(found->offset, found->end_of_file) : std::pair(0ul, false);
  };
  EXPECT_EQ(fs().Seek(Root(), file, false, 0, ExtentKind::kHole).code(), Code::kRange);
  ASSERT_EQ(SetSize(Root(), file, 300 * kMiB), Code::kOk);
  EXPECT_EQ(seek(5, ExtentKind::kData), std::pair(300 * kMiB, true));
  EXPECT_EQ(seek(5, ExtentKind::kHole), std::pair(uint64_t{5}, false));
  WriteText(file, 4 * kMiB, std::string(kMiB, 'x'));
  WriteText(file, 200 * kMiB, std::string(kBlock, 'y'));
  EXPECT_EQ(seek(0, ExtentKind::kData), std::pair(4 * kMiB, false));
  EXPECT_EQ(seek(4 * kMiB + 7, ExtentKind::kData), std::pair(4 * kMiB + 7, false));
  EXPECT_EQ(seek(4 * kMiB + 7, ExtentKind::kHole), std::pair(5 * kMiB, false));
  EXPECT_EQ(seek(5 * kMiB, ExtentKind::kData), std::pair(200 * kMiB, false));
  EXPECT_EQ(seek(200 * kMiB, ExtentKind::kHole), std::pair(200 * kMiB + kBlock, false));
  EXPECT_EQ(seek(201 * kMiB, ExtentKind::kData), std::pair(300 * kMiB, true));
  EXPECT_EQ(fs().Seek(Root(), file, false, 300 * kMiB, ExtentKind::kData).code(), Code::kRange);
  ASSERT_EQ(fs().Deallocate(Root(), file, false, 4 * kMiB, kMiB / 2).code(), Code::kOk);
  EXPECT_EQ(seek(0, ExtentKind::kData), std::pair(4 * kMiB + kMiB / 2, false));
  ASSERT_EQ(SetSize(Root(), file, 200 * kMiB + 10), Code::kOk);
  EXPECT_EQ(seek(200 * kMiB, ExtentKind::kHole), std::pair(200 * kMiB + 10, true));
}

TEST_P(Conformance, SeekOfASmallFile) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "text");
  auto data = fs().Seek(Root(), file, false, 1, ExtentKind::kData);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->offset, 1u);
  auto hole = fs().Seek(Root(), file, false, 1, ExtentKind::kHole);
  ASSERT_TRUE(hole.ok());
  EXPECT_EQ(hole->offset, 4u);
  EXPECT_TRUE(hole->end_of_file);
}

TEST_P(Conformance, CopyCopiesBytes) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  std::string text = Pattern(2 * kMiB + 77, 7);
  for (uint64_t at = 0; at < text.size(); at += kMiB) WriteText(source, at, text.substr(at, kMiB));
  std::string copy;
  auto run = [&](uint64_t from, uint64_t to, uint64_t length) {
    uint64_t done = 0;
    while (done < length) {
      DataPlace left{.file = source, .offset = from + done};
      DataPlace right{.file = target, .offset = to + done};
      auto bytes = fs().Copy(Root(), left, right, length - done);
      ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
      if (*bytes == 0) break;
      done += *bytes;
    }
    done = std::min<uint64_t>(done, text.size() - from);
    if (copy.size() < to + done) copy.resize(to + done);
    copy.replace(to, done, text, from, done);
  };
  run(0, 0, text.size());
  run(11, 3 * kMiB + 5, 500'000);  // not aligned to each other
  run(kBlock + 3, 7 * kBlock + 3, 50 * kBlock);
  run(2 * kMiB, 0, 1'000'000);  // ends early
  auto expect = [&] {
    ASSERT_EQ(Get(target).size, copy.size());
    for (uint64_t at = 0; at < copy.size(); at += kMiB) {
      EXPECT_TRUE(ReadText(target, at, kMiB) == copy.substr(at, kMiB)) << at;
    }
  };
  expect();
  ExpectExactUsage();
  Restart();  // durable
  expect();
  DataPlace end{.file = source, .offset = text.size()};
  EXPECT_EQ(*fs().Copy(Root(), end, {.file = target}, 10), 0u);
  DataPlace self{.file = source, .offset = 100};
  EXPECT_EQ(fs().Copy(Root(), {.file = source}, self, 200).code(), Code::kInvalid);
  EXPECT_EQ(*fs().Copy(Root(), {.file = source}, self, 100), 100u);
  EXPECT_EQ(ReadText(source, 100, 100), text.substr(0, 100));
}

TEST_P(Conformance, AllocateAndCopyThatComeAgainAfterARestartAreMadeOnce) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  WriteText(source, 0, std::string(10 * kBlock, 's'));
  auto tagged = [](const char* slot) {
    Caller caller = Root();
    caller.replay = ReplayTag{slot, 1};
    return caller;
  };
  auto punch = [&] { return fs().Deallocate(tagged("s/1"), source, false, 0, 10).code(); };
  auto copy = [&] {
    DataPlace from{.file = source, .offset = kBlock + 1};
    return *fs().Copy(tagged("s/3"), from, {.file = target, .offset = kMiB}, 20 * kBlock);
  };
  ASSERT_EQ(punch(), Code::kOk);
  ASSERT_EQ(copy(), 9 * kBlock - 1);
  Restart();
  WriteText(source, 0, "later");
  ASSERT_EQ(SetSize(Root(), target, 3), Code::kOk);
  ASSERT_EQ(punch(), Code::kOk);
  ASSERT_EQ(copy(), 9 * kBlock - 1);
  EXPECT_EQ(Get(target).size, 3u);
  EXPECT_EQ(ReadText(source, 0, 5), "later");
}

}  // namespace tarn::engine::testing
