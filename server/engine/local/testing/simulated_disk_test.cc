#include "server/engine/local/testing/simulated_disk.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "server/engine/local/local_engine.h"

namespace tarn::local {
namespace {

using Kind = SimulatedDisk::Kind;

constexpr uint64_t kSeeds = 3000;

void Write(DiskFile& file, uint64_t offset, std::string bytes) {
  iovec part{bytes.data(), bytes.size()};
  ASSERT_EQ(file.Write(offset, {&part, 1}), static_cast<ssize_t>(bytes.size()));
}

// Nothing: there is no such file.
std::optional<std::string> Contents(Disk& disk, const std::string& path) {
  std::string bytes;
  if (ReadWholeFile(disk, path, &bytes) != 0) return {};
  return bytes;
}

TEST(SimulatedDisk, ACopyKeepsWhatIsSyncedAndWhatIsNot) {
  SimulatedDisk disk;
  auto file = disk.Open("/f", Disk::Mode::kCreate);
  std::string kept = "kept";
  iovec part{kept.data(), kept.size()};
  ASSERT_EQ(file->Write(0, {&part, 1}), 4);
  ASSERT_EQ(file->Sync(), 0);
  ASSERT_EQ(disk.SyncDirectory("/"), 0);
  std::string more = "more";
  iovec second{more.data(), more.size()};
  ASSERT_EQ(file->Write(4, {&second, 1}), 4);
  auto copy = disk.Copy();
  ASSERT_EQ(file->Truncate(0), 0);  // not of the copy
  std::string found;
  ASSERT_EQ(ReadWholeFile(*copy, "/f", &found), 0);
  EXPECT_EQ(found, "keptmore");
  EXPECT_EQ(copy->used(), 4096u);
  bool lost = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::string left;
    ASSERT_EQ(ReadWholeFile(*copy->CutPower(seed), "/f", &left), 0);
    EXPECT_TRUE(left.starts_with("kept"));
    lost = lost || left != "keptmore";
  }
  EXPECT_TRUE(lost);
}

TEST(SimulatedDisk, BehavesAsAFileSystem) {
  SimulatedDisk disk;
  EXPECT_EQ(disk.Open("/a", Disk::Mode::kWrite), nullptr);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(disk.MakeDirectory("/d"), 0);
  EXPECT_EQ(disk.MakeDirectory("/d"), -1);
  EXPECT_EQ(errno, EEXIST);
  auto file = disk.Open("/d/a", Disk::Mode::kCreate);
  Write(*file, 5000, "hello");
  EXPECT_EQ(file->Size(), 5005);
  EXPECT_EQ(*Contents(disk, "/d/a"), std::string(5000, '\0') + "hello");
  EXPECT_EQ(disk.Rename("/d/a", "/d/b"), 0);
  EXPECT_FALSE(Contents(disk, "/d/a"));
  EXPECT_EQ(disk.RemoveDirectory("/d"), -1);
  EXPECT_EQ(errno, ENOTEMPTY);
  EXPECT_EQ(file->Truncate(5002), 0);
  EXPECT_EQ(file->Truncate(6000), 0);
  EXPECT_EQ(Contents(disk, "/d/b")->substr(5000, 4), std::string("he\0\0", 4));
  EXPECT_EQ(file->Punch(4096, 4096), 0);
  EXPECT_EQ(*Contents(disk, "/d/b"), std::string(6000, '\0'));
  EXPECT_EQ(disk.Remove("/d/b"), 0);
  Write(*file, 0, "still there");
  EXPECT_EQ(disk.used(), 4096u);
  file.reset();
  EXPECT_EQ(disk.used(), 0u);
}

TEST(SimulatedDisk, ACutKeepsWhatWasSyncedAndAnyOfTheRest) {
  SimulatedDisk disk;
  ASSERT_EQ(disk.MakeDirectory("/d"), 0);
  ASSERT_EQ(disk.SyncDirectory("/"), 0);
  auto file = disk.Open("/d/a", Disk::Mode::kCreate);
  Write(*file, 0, std::string(1024, 'o'));
  ASSERT_EQ(file->Sync(), 0);
  ASSERT_EQ(disk.SyncDirectory("/d"), 0);
  Write(*file, 0, std::string(1024, 'n'));
  Write(*file, 1024, std::string(1024, 'n'));
  ASSERT_EQ(disk.Rename("/d/a", "/d/b"), 0);
  auto other = disk.Open("/d/c", Disk::Mode::kCreate);
  ASSERT_EQ(other->Sync(), 0);  // says nothing about the name
  std::set<std::string> seen;
  std::set<bool> other_seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    auto after = disk.CutPower(seed);
    auto a = Contents(*after, "/d/a");
    auto b = Contents(*after, "/d/b");
    ASSERT_NE(a.has_value(), b.has_value()) << "a rename is one change";
    std::string bytes = a ? *a : *b;
    ASSERT_GE(bytes.size(), 1024u);
    std::string sectors;
    for (size_t at = 0; at < bytes.size(); at += 512)
      sectors += bytes[at] == '\0' ? '0' : bytes[at];
    seen.insert(sectors);
    other_seen.insert(Contents(*after, "/d/c").has_value());
    EXPECT_EQ(Contents(*disk.CutPower(seed), "/d/a").has_value(), a.has_value());
  }
  for (const char* one : {"oo", "nn", "on", "no", "nnnn", "oonn", "oo00", "nnn0"}) {
    EXPECT_TRUE(seen.contains(one)) << one;
  }
  EXPECT_EQ(other_seen.size(), 2u);
  // The disk that was cut goes on.
  EXPECT_EQ(*Contents(disk, "/d/b"), std::string(2048, 'n'));
}

TEST(SimulatedDisk, AFailedSyncLosesBytesForGood) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk(seed);
    auto file = disk.Open("/a", Disk::Mode::kCreate);
    Write(*file, 0, std::string(512, 'o'));
    ASSERT_EQ(file->Sync(), 0);
    ASSERT_EQ(disk.SyncDirectory("/"), 0);
    Write(*file, 0, std::string(512, 'n'));
    disk.SetHook(
        [](const SimulatedDisk::Call& call) { return call.kind == Kind::kSync ? EIO : 0; });
    EXPECT_EQ(file->Sync(), -1);
    EXPECT_EQ(errno, EIO);
    disk.SetHook({});
    EXPECT_EQ(file->Sync(), 0);
    seen.insert(Contents(*disk.CutPower(seed), "/a")->substr(0, 1) + (*Contents(disk, "/a"))[0]);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"oo", "on", "nn"}));
}

TEST(SimulatedDisk, IsFullAtItsCapacity) {
  SimulatedDisk disk(1, 10 * 4096);
  auto file = disk.Open("/a", Disk::Mode::kCreate);
  EXPECT_EQ(file->Allocate(0, 8 * 4096), 0);
  std::string bytes(4 * 4096, 'x');
  iovec part{bytes.data(), bytes.size()};
  EXPECT_EQ(file->Write(8 * 4096, {&part, 1}), 2 * 4096);
  EXPECT_EQ(file->Write(10 * 4096, {&part, 1}), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(file->Write(0, {&part, 1}), 4 * 4096) << "in place";
  disk.SetCapacity(4096);
  Disk::Space space;
  EXPECT_EQ(disk.GetSpace("/", &space), 0);
  EXPECT_EQ(space.free, 0u);
}

TEST(SimulatedDisk, HoldsAStore) {
  SimulatedDisk disk;
  LocalOptions options;
  options.data_dir = "/data";
  options.disk = &disk;
  {
    auto engine = OpenLocalEngine(options);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    EXPECT_EQ(OpenLocalEngine(options).code(), Code::kInUse);
    ASSERT_TRUE((*engine)->CreateFileSystem().ok());
  }
  EXPECT_GT(disk.syncs(), 0u);
  auto after = disk.CutPower(1);
  options.disk = after.get();
  auto engine = OpenLocalEngine(options);
  ASSERT_TRUE(engine.ok()) << engine.error().ToString();
  EXPECT_TRUE((*engine)->GetFileSystem(1).ok());
}

}  // namespace
}  // namespace tarn::local
