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

}  // namespace
}  // namespace tarn::local
