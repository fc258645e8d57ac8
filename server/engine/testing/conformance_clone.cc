// Clones (RFC 7862 section 15.13), and all of NFS 4.2 that comes again after a restart.
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr uint64_t kBlock = kCloneBlockBytes;
constexpr uint64_t kMiB = uint64_t{1} << 20;

}  // namespace

TEST_P(Conformance, AClonesBytesAreItsOwn) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  std::string text = Pattern(kMiB / 2 + 10, 3);
  WriteText(source, 0, text, Stability::kUnstable);
  Tick();
  ASSERT_EQ(fs().Clone(Root(), {.file = source}, {.file = target}, 0).code(), Code::kOk);
  EXPECT_EQ(Get(target).size, kMiB / 2 + 10);
  EXPECT_EQ(Get(target).space_used, kMiB / 2 + kBlock);
  EXPECT_EQ(Get(target).modify_time, Now());
  ExpectExactUsage();
  std::string other = text;
  other.replace(5000, 3, "new");
  WriteText(target, 5000, "new");
  WriteText(source, kMiB / 2, "SOURCE");
  text.replace(kMiB / 2, 6, "SOURCE");
  auto expect = [&] {
    EXPECT_TRUE(ReadText(source, 0, kIoBytesMax) == text);
    EXPECT_TRUE(ReadText(target, 0, kIoBytesMax) == other);
  };
  expect();
  EXPECT_EQ(Get(target).space_used, kMiB / 2 + kBlock);
  Restart();
  expect();
  ExpectSound();
  ASSERT_EQ(fs().Remove(Root(), top(), "source").code(), Code::kOk);
  Restart();
  EXPECT_TRUE(ReadText(target, 0, kIoBytesMax) == other);
  WriteText(target, 9000, "again");
  other.replace(9000, 5, "again");
  EXPECT_TRUE(ReadText(target, 0, kIoBytesMax) == other);
  ExpectSound();
}

TEST_P(Conformance, ClonesOfClonesAndRanges) {
  FileId a = MakeFile(top(), "a");
  FileId b = MakeFile(top(), "b");
  FileId c = MakeFile(top(), "c");
  std::string one = Pattern(40 * kBlock, 4);
  std::string two = Pattern(40 * kBlock, 5);
  WriteText(a, 0, one);
  WriteText(b, 0, two);
  // Into the middle of a file; a hole in the source too.
  ASSERT_EQ(fs().Deallocate(Root(), a, false, 4 * kBlock, 2 * kBlock).code(), Code::kOk);
  one.replace(4 * kBlock, 2 * kBlock, std::string(2 * kBlock, '\0'));
  DataPlace from{.file = a, .offset = 2 * kBlock};
  ASSERT_EQ(fs().Clone(Root(), from, {.file = b, .offset = 10 * kBlock}, 8 * kBlock).code(),
            Code::kOk);
  two.replace(10 * kBlock, 8 * kBlock, one, 2 * kBlock, 8 * kBlock);
  EXPECT_TRUE(ReadText(b, 0, 40 * kBlock) == two);
  EXPECT_EQ(Get(b).space_used, 38 * kBlock);
  // What is shared already is cloned again, and within one file.
  ASSERT_EQ(fs().Clone(Root(), {.file = b}, {.file = c}, 0).code(), Code::kOk);
  WriteText(b, 11 * kBlock, "b");
  std::string three = two;
  two.replace(11 * kBlock, 1, "b");
  DataPlace tail{.file = c, .offset = 30 * kBlock};
  ASSERT_EQ(fs().Clone(Root(), {.file = c}, tail, 5 * kBlock).code(), Code::kOk);
  three.replace(30 * kBlock, 5 * kBlock, three, 0, 5 * kBlock);
  ASSERT_EQ(fs().Clone(Root(), {.file = c}, {.file = a, .offset = 100 * kMiB}, 0).code(),
            Code::kOk);
  auto expect = [&] {
    EXPECT_TRUE(ReadText(a, 0, 40 * kBlock) == one);
    EXPECT_TRUE(ReadText(a, 100 * kMiB, 40 * kBlock) == three);
    EXPECT_TRUE(ReadText(b, 0, 40 * kBlock) == two);
    EXPECT_TRUE(ReadText(c, 0, 40 * kBlock) == three);
  };
  expect();
  ExpectExactUsage();
  Restart();
  expect();
  ASSERT_EQ(SetSize(Root(), b, 12 * kBlock + 1), Code::kOk);
  two.resize(12 * kBlock + 1);
  ASSERT_EQ(fs().Deallocate(Root(), c, false, 0, 20 * kBlock).code(), Code::kOk);
  three.replace(0, 20 * kBlock, std::string(20 * kBlock, '\0'));
  EXPECT_TRUE(ReadText(b, 0, 40 * kBlock) == two);
  EXPECT_TRUE(ReadText(c, 0, 40 * kBlock) == three);
  EXPECT_TRUE(ReadText(a, 0, 40 * kBlock) == one);
  ExpectExactUsage();
  ExpectSound();
}

TEST_P(Conformance, ClonesOfHolesAreHoles) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  WriteText(source, 0, Pattern(4 * kBlock, 6));
  WriteText(source, kMiB, "end");
  std::string text = Pattern(40 * kBlock, 7);
  WriteText(target, 0, text);
  ASSERT_EQ(fs().Clone(Root(), {.file = source, .offset = 8 * kBlock},
                       {.file = target, .offset = kBlock}, 4 * kBlock)
                .code(),
            Code::kOk);
  text.replace(kBlock, 4 * kBlock, std::string(4 * kBlock, '\0'));
  EXPECT_TRUE(ReadText(target, 0, kIoBytesMax) == text);
  EXPECT_EQ(Get(target).space_used, 36 * kBlock);
  ExpectSound();
}

TEST_P(Conformance, CloneOfSmallFiles) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  WriteText(source, 0, "small");
  WriteText(target, 0, "abc");
  ASSERT_EQ(fs().Clone(Root(), {.file = source}, {.file = target}, 0).code(), Code::kOk);
  EXPECT_EQ(ReadText(target), "small");
  WriteText(source, 0, "S");
  EXPECT_EQ(ReadText(target), "small");
  // A small one into a large one, and the reverse.
  FileId large = MakeFile(top(), "large");
  std::string text = Pattern(100 * kBlock, 6);
  WriteText(large, 0, text);
  DataPlace end{.file = large, .offset = 100 * kBlock};
  ASSERT_EQ(fs().Clone(Root(), {.file = source}, end, 0).code(), Code::kOk);
  EXPECT_TRUE(ReadText(large, 100 * kBlock) == "Small");
  ASSERT_EQ(fs().Clone(Root(), {.file = large}, {.file = source}, 100 * kBlock).code(), Code::kOk);
  EXPECT_TRUE(ReadText(source, 0, 100 * kBlock) == text);
  ExpectExactUsage();
}

TEST_P(Conformance, CloneKeepsItsRules) {
  FileId source = MakeFile(top(), "source");
  FileId target = Chown(MakeFile(top(), "target", 0600), 7, 7);
  WriteText(source, 0, std::string(10 * kBlock, 's'));
  auto code = [&](const Caller& caller, uint64_t from, uint64_t to, uint64_t length) {
    DataPlace left{.file = source, .offset = from};
    return fs().Clone(caller, left, {.file = target, .offset = to}, length).code();
  };
  EXPECT_EQ(code(Root(), 1, 0, kBlock), Code::kInvalid);
  EXPECT_EQ(code(Root(), 0, 0, 100 * kBlock), Code::kInvalid);
  EXPECT_EQ(code(User(8, 8), 0, 0, kBlock), Code::kAccess);
  EXPECT_EQ(code(Root(), 0, kFileBytesMax / kBlock * kBlock, 0), Code::kFileTooBig);
  Caller reader = Root();
  reader.read_only = true;
  EXPECT_EQ(code(reader, 0, 0, kBlock), Code::kReadOnly);
  ASSERT_EQ(fs().SetQuota(kRootRealm, {.bytes_max = 15 * kBlock, .files_max = 0}).code(),
            Code::kOk);
  EXPECT_EQ(code(Root(), 0, 0, 0), Code::kQuota);  // shared blocks count for both
  EXPECT_EQ(Get(target).size, 0u);
  ASSERT_EQ(fs().SetQuota(kRootRealm, {}).code(), Code::kOk);
  ASSERT_EQ(SetMode(Root(), source, 0600), Code::kOk);
  EXPECT_EQ(code(User(7, 7), 0, 0, kBlock), Code::kAccess);
  EXPECT_EQ(fs().Clone(Root(), {.file = top()}, {.file = target}, 0).code(), Code::kIsDirectory);
  EXPECT_EQ(code(Root(), 0, 0, 0), Code::kOk);
}

TEST_P(Conformance, SparseChangesThatComeAgainAfterARestartAreMadeOnce) {
  FileId source = MakeFile(top(), "source");
  FileId target = MakeFile(top(), "target");
  WriteText(source, 0, std::string(10 * kBlock, 's'));
  auto allocate = [&] { return fs().Allocate(Tagged("s/0", 1), target, false, 0, 100).code(); };
  auto punch = [&] { return fs().Deallocate(Tagged("s/1", 1), source, false, 0, 10).code(); };
  auto clone = [&] {
    return fs().Clone(Tagged("s/2", 1), {.file = source}, {.file = target}, 0).code();
  };
  auto copy = [&] {
    DataPlace from{.file = source, .offset = kBlock};
    return *fs().Copy(Tagged("s/3", 1), from, {.file = target, .offset = kMiB}, 20 * kBlock);
  };
  ASSERT_EQ(allocate(), Code::kOk);
  ASSERT_EQ(punch(), Code::kOk);
  ASSERT_EQ(clone(), Code::kOk);
  ASSERT_EQ(copy(), 9 * kBlock);
  Restart();
  WriteText(source, 0, "later");
  ASSERT_EQ(SetSize(Root(), target, 3), Code::kOk);
  ASSERT_EQ(allocate(), Code::kOk);
  ASSERT_EQ(punch(), Code::kOk);
  ASSERT_EQ(clone(), Code::kOk);
  ASSERT_EQ(copy(), 9 * kBlock);
  EXPECT_EQ(Get(target).size, 3u);
  EXPECT_EQ(ReadText(source, 0, 5), "later");
}

}  // namespace tarn::engine::testing
