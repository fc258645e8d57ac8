#include "server/nfs4/state/ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "server/nfs4/state/client.h"

namespace tarn::nfs4 {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct RangesTest : testing::Test {
  Client client{1, true, "key", {}, SystemClock(), Tenants({}).Get("")};
  LockOwner a{client, "a"};
  LockOwner b{client, "b"};
  RangeList list;
};

TEST_F(RangesTest, WriteExcludesAndReadShares) {
  ASSERT_TRUE(list.Set({10, 19, false, &a}));
  EXPECT_EQ(list.Conflict({15, 30, false, &b}), nullptr);
  ASSERT_NE(list.Conflict({19, 30, true, &b}), nullptr);
  EXPECT_EQ(*list.Conflict({19, 30, true, &b}), (Range{10, 19, false, &a}));
  EXPECT_EQ(list.Conflict({20, UINT64_MAX, true, &b}), nullptr);
  EXPECT_EQ(list.Conflict({0, UINT64_MAX, true, &a}), nullptr)
      << "an owner does not exclude itself";
}

TEST_F(RangesTest, MergesSplitsAndChangesKind) {
  ASSERT_TRUE(list.Set({0, 9, true, &a}));
  ASSERT_TRUE(list.Set({20, 29, true, &a}));
  ASSERT_TRUE(list.Set({10, 19, true, &a}));
  EXPECT_THAT(list.ranges(), UnorderedElementsAre(Range{0, 29, true, &a}));
  ASSERT_TRUE(list.Set({5, 9, false, &a}));  // downgrades a part
  EXPECT_THAT(list.ranges(), UnorderedElementsAre(Range{0, 4, true, &a}, Range{5, 9, false, &a},
                                                  Range{10, 29, true, &a}));
  ASSERT_TRUE(list.Clear(&a, 3, 12));
  EXPECT_THAT(list.ranges(), UnorderedElementsAre(Range{0, 2, true, &a}, Range{13, 29, true, &a}));
  list.ClearOwner(&a);
  EXPECT_THAT(list.ranges(), IsEmpty());
}

TEST_F(RangesTest, ReachesTheEndOfEveryFile) {
  ASSERT_TRUE(list.Set({100, UINT64_MAX, true, &a}));
  ASSERT_TRUE(list.Set({UINT64_MAX, UINT64_MAX, true, &a}));
  ASSERT_TRUE(list.Clear(&a, UINT64_MAX, UINT64_MAX));
  EXPECT_THAT(list.ranges(), UnorderedElementsAre(Range{100, UINT64_MAX - 1, true, &a}));
  EXPECT_NE(list.Conflict({200, 200, false, &b}), nullptr);
}

// Against a byte by byte model.
TEST_F(RangesTest, BehavesAsAMapOfBytes) {
  constexpr uint64_t kSize = 24;
  std::array<char, kSize> model{};  // what `a` holds of each byte: 0, 'r', 'w'
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    uint64_t first = random() % kSize;
    uint64_t last = first + random() % (kSize - first);
    char kind = "0rw"[random() % 3];
    if (kind == '0') {
      ASSERT_TRUE(list.Clear(&a, first, last));
    } else {
      ASSERT_TRUE(list.Set({first, last, kind == 'w', &a}));
    }
    for (uint64_t at = first; at <= last; ++at) model[at] = kind == '0' ? '\0' : kind;
    for (uint64_t at = 0; at < kSize; ++at) {
      ASSERT_EQ(list.Conflict({at, at, true, &b}) != nullptr, model[at] != 0);
      ASSERT_EQ(list.Conflict({at, at, false, &b}) != nullptr, model[at] == 'w');
    }
    ASSERT_LE(list.ranges().size(), kSize);
  }
}

TEST_F(RangesTest, AFullListTakesWhatAddsNothing) {
  for (uint64_t i = 0; i < RangeList::kRangesMax; ++i) {
    ASSERT_TRUE(list.Set({10 * i, 10 * i + 5, true, &a})) << i;
  }
  EXPECT_FALSE(list.Set({6000, 6001, true, &a}));
  EXPECT_FALSE(list.Set({6000, 6001, true, &b}));
  EXPECT_FALSE(list.Clear(&a, 2, 3)) << "that would be two of one";
  EXPECT_FALSE(list.Set({2, 3, false, &a}));
  EXPECT_EQ(*list.Conflict({2, 2, true, &b}), (Range{0, 5, true, &a})) << "as it was";
  EXPECT_TRUE(list.Set({0, 7, true, &a})) << "the same one, longer";
  EXPECT_TRUE(list.Clear(&a, 10, 15));
  EXPECT_TRUE(list.Set({6000, 6001, true, &b}));
}

}  // namespace
}  // namespace tarn::nfs4
