// What only the engine in memory has: acting out a crash. The rest is the conformance suite.
#include "server/engine/memory/memory_engine.h"

#include <gtest/gtest.h>

#include <string>

#include "server/engine/memory/sparse_bytes.h"

namespace tarn::engine {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(MemoryEngine, ForgetsUncommittedDataAtACrash) {
  ManualClock clock;
  auto engine = NewMemoryEngine(clock);
  uint32_t number = *engine->CreateFileSystem();
  FileSystem& files = **engine->GetFileSystem(number);
  Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = kRootRealm, .read_only = false};
  FileId top = *files.RealmRoot(kRootRealm);
  FileId file = files.Create(root, top, "f", {})->attributes.id;
  ASSERT_TRUE(files.Write(root, file, false, 0, Bytes("kept"), Stability::kFileSync).ok());
  ASSERT_TRUE(files.Write(root, file, false, 4, Bytes(" lost"), Stability::kUnstable).ok());
  EXPECT_EQ(files.GetAttributes(root, file)->size, 9u);
  uint64_t verifier = files.WriteVerifier();
  SimulateRestart(*engine);
  EXPECT_NE(files.WriteVerifier(), verifier);
  EXPECT_EQ(files.GetAttributes(root, file)->size, 4u);
  EXPECT_EQ(*files.Check([](std::string_view line) { ADD_FAILURE() << line; }), 0u);
}

TEST(SparseBytes, SharesPagesUntilWritten) {
  SparseBytes one;
  one.Write(10, Bytes("abc"));
  SparseBytes two = one;
  two.Write(11, Bytes("X"));
  char text[14] = {};
  one.Read(0, std::as_writable_bytes(std::span(text, 13)));
  EXPECT_STREQ(text + 10, "abc");
  two.Read(0, std::as_writable_bytes(std::span(text, 13)));
  EXPECT_STREQ(text + 10, "aXc");
}

TEST(SparseBytes, CutsToZerosAndCountsPages) {
  SparseBytes bytes;
  EXPECT_EQ(bytes.GrowthOf(4095, 2), 8192u);
  bytes.Write(uint64_t{1} << 40, Bytes("x"));
  EXPECT_EQ(bytes.allocated(), 4096u);
  EXPECT_EQ(bytes.GrowthOf((uint64_t{1} << 40) - 1, 2), 4096u);
  bytes.Resize((uint64_t{1} << 40) + 1);
  bytes.Resize(uint64_t{1} << 40);
  EXPECT_EQ(bytes.allocated(), 0u);
  bytes.Write(0, Bytes("abcdef"));
  bytes.Resize(3);
  bytes.Resize(6);
  char text[7] = {};
  bytes.Read(0, std::as_writable_bytes(std::span(text, 6)));
  EXPECT_EQ(std::string(text, 6), std::string("abc\0\0\0", 6));
}

}  // namespace
}  // namespace tarn::engine
