#include "server/policy/table.h"

#include <gtest/gtest.h>

#include <thread>

#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

TEST(PolicyTable, SetFindRemove) {
  Table table;
  EXPECT_EQ(table.Find(1), nullptr);
  uint64_t first = table.generation();
  PolicyPtr policy = Policy::DenyAll();
  table.Set(1, policy);
  EXPECT_EQ(table.Find(1), policy);
  EXPECT_EQ(table.Find(2), nullptr);
  uint64_t second = table.generation();
  EXPECT_NE(first, second);
  table.Set(2, nullptr);
  EXPECT_EQ(table.generation(), second) << "nothing changed";
  table.Set(1, nullptr);
  EXPECT_NE(table.generation(), second);
  EXPECT_EQ(table.Find(1), nullptr);
}

// A reader that goes by the generation never keeps a policy that was replaced before.
TEST(PolicyTable, GenerationTellsOfEachChange) {
  constexpr int kChanges = 2'000;
  Table table;
  std::atomic<int> done{0};
  std::thread writer([&] {
    for (int i = 1; i <= kChanges; ++i) {
      auto id = R"(,"Id":")" + std::to_string(i) + "\"}";
      std::string text = Document("{'Statement':" ALLOW_ALL);
      table.Set(1, Policy::Compile(text + id).value());
      done.store(i, std::memory_order_release);
    }
  });
  uint64_t seen = 0;
  int have = 0;
  while (have < kChanges) {
    int before = done.load(std::memory_order_acquire);
    if (uint64_t now = table.generation(); now != seen) {
      seen = now;
      PolicyPtr policy = table.Find(1);
      if (policy == nullptr) continue;
      const std::string& text = policy->text();
      have = std::stoi(text.substr(text.rfind(':') + 2));
    }
    ASSERT_GE(have, before);
  }
  writer.join();
}

}  // namespace
}  // namespace tarn::policy
