// Logs with filler behind their ends: what they hold after a crash, and that syncs do not grow
// them.
#include "server/engine/local/log_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "server/engine/local/store.h"
#include "server/engine/local/test_directory.h"

namespace tarn::local {
namespace {

LocalOptions Options(const std::string& directory) {
  LocalOptions options;
  options.data_dir = directory;
  options.reserve_bytes = 0;
  return options;
}

std::unique_ptr<Store> Open(const TestDirectory& directory) {
  auto store = Store::Open(Options(directory.path()));
  EXPECT_TRUE(store.ok()) << store.error().ToString();
  return store.ok() ? std::move(*store) : nullptr;
}

std::string KeyOf(int i) {
  return "Rkey-" + std::to_string(i);
}
// Around the sizes of the log's blocks of 32 KiB, and small ones.
std::string ValueOf(int i) {
  static constexpr size_t kSizes[] = {10, 700, 32768 - 7, 5, 40000, 32768 - 11 - 30, 100, 70000};
  return std::string(kSizes[i % std::size(kSizes)] + static_cast<size_t>(i), static_cast<char>(i));
}

void Put(Store& store, int i) {
  Batch batch(store);
  batch.Put(Table::kMeta, KeyOf(i), ValueOf(i));
  ASSERT_TRUE(store.WriteAndSync(batch).ok());
}

void ExpectAll(Store& store, int count) {
  for (int i = 0; i < count; ++i) {
    auto value = store.Get(Table::kMeta, KeyOf(i));
    ASSERT_TRUE(value.ok() && value->has_value()) << i;
    ASSERT_EQ(**value, ValueOf(i)) << i;
  }
}

// The log that is written: the one with the highest number.
std::filesystem::path LogOf(const TestDirectory& directory) {
  std::filesystem::path last;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path() + "/meta")) {
    if (entry.path().extension() == ".log" && entry.path() > last) last = entry.path();
  }
  return last;
}

std::string Contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(LogFiles, SyncsDoNotMakeTheFileLonger) {
  TestDirectory directory;
  auto store = Open(directory);
  Put(*store, 0);
  auto size = std::filesystem::file_size(LogOf(directory));
  EXPECT_GT(size, 512u << 10);
  for (int i = 0; i < 100; ++i) {
    Batch batch(*store);
    batch.Put(Table::kMeta, KeyOf(i), "small");
    ASSERT_TRUE(store->WriteAndSync(batch).ok());
  }
  EXPECT_EQ(std::filesystem::file_size(LogOf(directory)), size);
  std::string bytes = Contents(LogOf(directory));
  EXPECT_EQ(bytes.back(), '\xff');
}

TEST(LogFiles, AllThatWasSyncedIsThereAfterACrashAtAnyPoint) {
  TestDirectory directory;
  auto store = Open(directory);
  constexpr int kCount = 120;
  for (int i = 0; i < kCount; ++i) {
    Put(*store, i);
    if (i % 8 != 0) continue;
    TestDirectory crashed;
    crashed.CopyFrom(directory);
    auto again = Open(crashed);
    ASSERT_TRUE(again);
    ExpectAll(*again, i + 1);
    // And what is written then, over another crash.
    Put(*again, i + 1);
    TestDirectory twice;
    twice.CopyFrom(crashed);
    auto last = Open(twice);
    ASSERT_TRUE(last);
    ExpectAll(*last, i + 2);
  }
}

TEST(LogFiles, ATornRecordInTheFillerIsTheEnd) {
  TestDirectory directory;
  auto store = Open(directory);
  std::string before;
  for (int i = 0; i < 5; ++i) {
    before = Contents(LogOf(directory));
    Put(*store, i);
  }
  std::string after = Contents(LogOf(directory));
  ASSERT_EQ(before.size(), after.size());
  size_t begin = static_cast<size_t>(
      std::mismatch(before.begin(), before.end(), after.begin()).first - before.begin());
  // The last record (40 KB) lacks what the disk had not written: its end, its middle, its head.
  for (size_t lost : {begin, begin + 4096, begin + 20000, begin + 39000}) {
    TestDirectory torn;
    torn.CopyFrom(directory);
    std::string bytes = after;
    size_t until = std::min(begin + 41000, lost + 4096);
    std::copy(before.begin() + static_cast<ptrdiff_t>(lost),
              before.begin() + static_cast<ptrdiff_t>(until),
              bytes.begin() + static_cast<ptrdiff_t>(lost));
    std::ofstream(LogOf(torn), std::ios::binary) << bytes;
    auto again = Open(torn);
    ASSERT_TRUE(again) << lost;
    ExpectAll(*again, 4);
    EXPECT_FALSE((*again->Get(Table::kMeta, KeyOf(4))).has_value()) << lost;
  }
}

TEST(LogFiles, ALogThatIsDamagedLongBeforeItsEndIsRefused) {
  TestDirectory directory;
  auto store = Open(directory);
  for (int i = 0; i < 5; ++i) Put(*store, i);
  size_t place = Contents(LogOf(directory)).find(ValueOf(1));
  for (int i = 0; i < 300; ++i) {
    Batch batch(*store);
    batch.Put(Table::kInline, KeyOf(i), ValueOf(7));
    ASSERT_TRUE(store->WriteAndSync(batch).ok());
  }
  TestDirectory damaged;
  damaged.CopyFrom(directory);
  std::string bytes = Contents(LogOf(damaged));
  ASSERT_NE(place, std::string::npos);
  bytes[place] = static_cast<char>(bytes[place] ^ 1);
  std::ofstream(LogOf(damaged), std::ios::binary) << bytes;
  EXPECT_EQ(Store::Open(Options(damaged.path())).code(), Code::kCorrupt);
}

TEST(LogFiles, ACleanEndLeavesNoFiller) {
  TestDirectory directory;
  auto store = Open(directory);
  for (int i = 0; i < 10; ++i) Put(*store, i);
  store.reset();
  std::filesystem::path log = LogOf(directory);
  if (!log.empty()) {
    std::string bytes = Contents(log);
    EXPECT_EQ(bytes.find(std::string(4096, '\xff')), std::string::npos);
  }
  auto again = Open(directory);
  ASSERT_TRUE(again);
  ExpectAll(*again, 10);
}

}  // namespace
}  // namespace tarn::local
