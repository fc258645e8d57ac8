// The database on a disk that fails.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>

#include "server/engine/local/store.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {
namespace {

constexpr std::chrono::seconds kPatience{20};

// A log that fails while the tables' memory is empty: RocksDB would neither leave it behind nor
// write to it again.
TEST(StoreFaults, ALogThatFailsWhenAllElseIsInTheTablesIsWrittenAgain) {
  SimulatedDisk disk;
  LocalOptions options;
  options.data_dir = "/data";
  options.disk = &disk;
  auto store = Store::Open(options);
  ASSERT_TRUE(store.ok()) << store.error().ToString();
  Batch first(**store);
  first.Put(Table::kInline, "a", "stable");
  ASSERT_TRUE((*store)->WriteAndSync(first).ok());
  std::atomic<bool> stop = false;
  (*store)->ReclaimSpace(stop);
  disk.SetHook([](const SimulatedDisk::Call& call) {
    bool hit = call.kind == SimulatedDisk::Kind::kWrite && call.path.ends_with(".log");
    return hit ? EIO : 0;
  });
  Batch large(**store);  // too large to wait for the sync in the log's memory
  large.Put(Table::kInline, "b", std::string(4 << 20, 'b'));
  EXPECT_EQ((*store)->WriteAndSync(large).code(), Code::kIo);
  disk.SetHook({});
  Batch next(**store);
  next.Put(Table::kInline, "c", "stable");
  auto end = std::chrono::steady_clock::now() + kPatience;
  bool served = false;
  while (!served && std::chrono::steady_clock::now() < end) {
    served = (*store)->WriteAndSync(next).ok();
  }
  EXPECT_TRUE(served);
  EXPECT_EQ(*(*store)->Get(Table::kInline, "a"), "stable");
}

// The failed sync of filler takes records with it that came since the sync before.
TEST(StoreFaults, ALogLosesNothingWhenItsFillerCannotBeSynced) {
  SimulatedDisk disk;
  LogFiles files(disk.DatabaseEnv()->GetFileSystem());
  std::unique_ptr<rocksdb::FSWritableFile> log;
  ASSERT_TRUE(files.NewWritableFile("/1.log", {}, &log, nullptr).ok());
  ASSERT_TRUE(log->Append("first", {}, nullptr).ok());
  int syncs = 0;
  disk.SetHook([&](const SimulatedDisk::Call& call) {
    if (call.kind != SimulatedDisk::Kind::kSync || ++syncs != 2) return 0;
    EXPECT_TRUE(log->Append("second", {}, nullptr).ok());
    return EIO;
  });
  ASSERT_TRUE(log->Sync({}, nullptr).ok());
  EXPECT_GE(syncs, 2);
  disk.SetHook({});
  ASSERT_TRUE(log->Sync({}, nullptr).ok());
  EXPECT_FALSE(files.failing());
  ASSERT_EQ(disk.SyncDirectory("/"), 0);
  auto after = disk.CutPower(1);
  auto file = after->Open("/1.log", Disk::Mode::kRead);
  ASSERT_NE(file, nullptr);
  std::string bytes(11, '?');
  EXPECT_EQ(file->Read(0, std::as_writable_bytes(std::span(bytes))), 11);
  EXPECT_EQ(bytes, "firstsecond");
}

}  // namespace
}  // namespace tarn::local
