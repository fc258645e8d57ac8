// A session's slots: exactly once, and a table that shrinks and grows (RFC 8881 section 2.10.6).
#include "server/nfs4/state/session.h"

#include <gtest/gtest.h>

namespace tarn::nfs4 {
namespace {

class SessionSlots : public ::testing::Test {
 protected:
  static std::unique_ptr<Session> Make(std::shared_ptr<ReplyBudget> budget, uint32_t slots) {
    channel_attrs4 fore{};
    fore.ca_maxrequests = slots;
    auto client = std::make_shared<Client>(1, true, "0/1/key", Principal{}, SystemClock(),
                                           Tenants({}).Get(""));
    return std::make_unique<Session>(sessionid4{}, client, fore, std::move(budget));
  }
  // Runs one request with a reply of that size.
  static Session::Turn Do(Session& session, uint32_t slot, uint32_t sequence, size_t bytes = 100) {
    std::vector<std::byte> reply;
    Session::Turn turn = session.Begin(slot, sequence, 7, reply);
    bool run = turn == Session::Turn::kRun || turn == Session::Turn::kRunFirst;
    if (run) session.Finish(slot, true, std::vector<std::byte>(bytes));
    return turn;
  }
};

TEST_F(SessionSlots, EachRequestOnce) {
  auto session = Make(std::make_shared<ReplyBudget>(), 64);
  EXPECT_EQ(Do(*session, 63, 1), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 63, 1), Session::Turn::kReplay);
  EXPECT_EQ(Do(*session, 63, 3), Session::Turn::kMisordered);
  EXPECT_EQ(Do(*session, 63, 2), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 63, 1), Session::Turn::kMisordered);
  EXPECT_EQ(Do(*session, 64, 1), Session::Turn::kBadSlot);
}

TEST_F(SessionSlots, HasNoMoreOfThemMadeThanThereIsMemoryFor) {
  auto budget = std::make_shared<ReplyBudget>(16 * sizeof(Session::Slot));
  auto session = Make(budget, 64);
  EXPECT_EQ(Do(*session, 63, 1, 0), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 62, 1, 0), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 16, 1, 0), Session::Turn::kBusy);
  EXPECT_EQ(Do(*session, 0, 1, 0), Session::Turn::kRun) << "each has a few";
  session = Make(budget, 64);
  EXPECT_EQ(Do(*session, 16, 1, 0), Session::Turn::kRun);
}

TEST_F(SessionSlots, ShrinksWhenMemoryIsShortAndGrowsAgain) {
  auto budget = std::make_shared<ReplyBudget>(8000);
  auto session = Make(budget, 32);
  EXPECT_EQ(session->Resize(31), 31U);
  for (uint32_t slot = 0; slot < 32; ++slot) {
    EXPECT_EQ(Do(*session, slot, 1, 200), Session::Turn::kRun);
  }
  EXPECT_EQ(budget->bytes(), 6400U);
  EXPECT_EQ(session->Resize(31), kSlotsWhenTight - 1) << "the client still uses them";
  EXPECT_EQ(Do(*session, 31, 1), Session::Turn::kReplay);
  EXPECT_EQ(session->Resize(7), kSlotsWhenTight - 1);
  EXPECT_EQ(budget->bytes(), 8 * 200U) << "now they are let go";
  EXPECT_EQ(Do(*session, 3, 1), Session::Turn::kReplay);
  EXPECT_EQ(session->Resize(7), 31U) << "there is room again";
  // Both kinds of clients: one that forgot the slot, and one that went on counting.
  EXPECT_EQ(Do(*session, 20, 1), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 20, 1), Session::Turn::kReplay);
  EXPECT_EQ(Do(*session, 21, 2), Session::Turn::kRun);
  EXPECT_EQ(Do(*session, 22, 3), Session::Turn::kMisordered);
}

TEST_F(SessionSlots, OneSessionsRepliesMakeAnotherShrink) {
  auto budget = std::make_shared<ReplyBudget>(4000);
  auto greedy = Make(budget, 32);
  auto modest = Make(budget, 32);
  for (uint32_t slot = 0; slot < 32; ++slot) Do(*greedy, slot, 1, 200);
  EXPECT_FALSE(modest->MayCache());
  EXPECT_EQ(modest->Resize(0), kSlotsWhenTight - 1);
  greedy.reset();
  EXPECT_EQ(budget->bytes(), 0U);
  EXPECT_EQ(modest->Resize(0), 31U);
}

TEST_F(SessionSlots, ASlotOfTheLastRunTakesWhatComes) {
  auto session = Make(std::make_shared<ReplyBudget>(), 4);
  session->Restore();
  EXPECT_EQ(Do(*session, 2, 41), Session::Turn::kRunFirst);
  EXPECT_EQ(Do(*session, 2, 41), Session::Turn::kReplay);
  EXPECT_EQ(Do(*session, 2, 43), Session::Turn::kMisordered);
  EXPECT_EQ(Do(*session, 2, 42), Session::Turn::kRun);
}

}  // namespace
}  // namespace tarn::nfs4
