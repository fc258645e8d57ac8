#include "server/engine/local/group_commit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace tarn::local {
namespace {

using Ticket = GroupCommit::Ticket;

TEST(GroupCommit, WhoReturnsIsDurableAndSyncsAreShared) {
  constexpr int kThreads = 8;
  constexpr int kEach = 500;
  std::atomic<Ticket> written = 0;
  std::atomic<Ticket> durable = 0;
  std::atomic<int> syncing = 0;
  int syncs = 0;
  GroupCommit group([&]() -> Result<Ticket> {
    EXPECT_EQ(++syncing, 1);
    Ticket target = written;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    durable = std::max(target, durable.load());
    ++syncs;
    --syncing;
    return target;
  });
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kEach; ++j) {
        Ticket ticket = ++written;
        EXPECT_TRUE(group.Wait(ticket).ok());
        EXPECT_GE(durable, ticket);
      }
    });
  }
  threads.clear();
  EXPECT_LT(syncs, kThreads * kEach / 2);
  int before = syncs;
  EXPECT_TRUE(group.Wait(written).ok());
  EXPECT_EQ(syncs, before);
}

// The error is told to the one that led; the others get a sync of their own.
TEST(GroupCommit, AFailedSyncIsTriedAgainByEachWhoWaited) {
  constexpr int kWaiters = 5;
  std::latch begun(1);
  std::atomic<bool> go = false;
  std::atomic<int> syncs = 0;
  GroupCommit group([&]() -> Result<Ticket> {
    if (++syncs == 1) {
      begun.count_down();
      go.wait(false);
    }
    if (syncs <= 3) return Error(Code::kIo, "broken");
    return Ticket{kWaiters + 1};
  });
  std::atomic<int> failed = 0;
  std::atomic<int> asked = 0;
  std::vector<std::jthread> threads;
  auto wait = [&](Ticket ticket) {
    ++asked;
    auto result = group.Wait(ticket);
    if (result.code() == Code::kIo) ++failed;
  };
  threads.emplace_back(wait, 1);
  begun.wait();
  for (Ticket ticket = 2; ticket <= kWaiters + 1; ++ticket) threads.emplace_back(wait, ticket);
  while (asked < kWaiters + 1) std::this_thread::yield();
  go = true;
  go.notify_all();
  threads.clear();
  EXPECT_EQ(failed, 3);
  EXPECT_GE(syncs, 4);
}

}  // namespace
}  // namespace tarn::local
