#include "server/engine/local/log_order.h"

#include <gtest/gtest.h>

#include <cstring>

#include "server/engine/local/store.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {
namespace {

class LogOrderTest : public ::testing::Test {
 protected:
  static constexpr int kBatches = 8;
  static constexpr size_t kValueBytes = 40'000;  // over a block of the log

  LogOrderTest() {
    options_.data_dir = "/data";
    options_.disk = &disk_;
    options_.reserve_bytes = 1 << 20;
  }

  // What a killed process leaves.
  std::unique_ptr<SimulatedDisk> WriteBatches() {
    auto store = Store::Open(options_);
    EXPECT_TRUE(store.ok());
    for (int i = 0; i < kBatches; ++i) {
      Batch batch(**store);
      batch.Put(Table::kMeta, Key(i), std::string(kValueBytes, static_cast<char>('a' + i)));
      EXPECT_TRUE((*store)->WriteAndSync(batch).ok());
    }
    return disk_.CutPower(1);
  }
  static std::string Key(int i) { return "K" + std::to_string(i); }

  // How many of the batches are there; they must be the first ones.
  int Survivors(SimulatedDisk& disk) {
    LocalOptions options = options_;
    options.disk = &disk;
    auto store = Store::Open(options);
    EXPECT_TRUE(store.ok()) << store.error().ToString();
    if (!store) return -1;
    int count = 0;
    for (int i = 0; i < kBatches; ++i) {
      auto value = (*store)->Get(Table::kMeta, Key(i));
      EXPECT_TRUE(value.ok());
      if (!value || !*value) continue;
      EXPECT_EQ(i, count) << "it survives, but not what was written before";
      ++count;
    }
    return count;
  }

  static std::string LogOf(const SimulatedDisk& disk) {
    for (const std::string& path : disk.Files()) {
      if (path.ends_with(".log")) return path;
    }
    return "";
  }

  SimulatedDisk disk_;
  LocalOptions options_;
};

TEST_F(LogOrderTest, NothingIsReplayedBehindAGap) {
  auto whole = WriteBatches();
  EXPECT_EQ(Survivors(*whole), kBatches);
  for (int damaged = 0; damaged < kBatches; ++damaged) {
    auto disk = disk_.CutPower(1);
    uint64_t offset = kValueBytes / 2 + static_cast<uint64_t>(damaged) * (kValueBytes + 60);
    ASSERT_TRUE(disk->Flip(LogOf(*disk), offset, 0x40));
    EXPECT_EQ(Survivors(*disk), damaged);
  }
}

rocksdb::WalFilter::WalProcessingOption Replay(LogOrder& order, uint64_t number, uint32_t count) {
  std::string bytes(12, '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  std::memcpy(bytes.data() + 8, &count, sizeof(count));
  bool changed = false;
  return order.LogRecordFound(7, "7.log", rocksdb::WriteBatch(bytes), nullptr, &changed);
}

TEST_F(LogOrderTest, EndsAtTheFirstBatchThatDoesNotFollow) {
  using Option = rocksdb::WalFilter::WalProcessingOption;
  LogOrder order;
  EXPECT_EQ(Replay(order, 100, 5), Option::kContinueProcessing) << "any may be the first";
  EXPECT_EQ(Replay(order, 105, 1), Option::kContinueProcessing);
  EXPECT_EQ(Replay(order, 107, 1), Option::kStopReplay);
  EXPECT_EQ(Replay(order, 106, 1), Option::kStopReplay) << "and it stays so";
}

}  // namespace
}  // namespace tarn::local
