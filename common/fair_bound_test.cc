#include "common/fair_bound.h"

#include <gtest/gtest.h>

#include <vector>

namespace tarn {
namespace {

size_t TakeAll(FairBound& bound, FairBound::Part& part) {
  while (bound.Take(part, 1)) {
  }
  return part;
}

TEST(FairBound, WhoTakesAllLeavesTheNextAPart) {
  FairBound bound(1024);
  FairBound::Part greedy{0};
  FairBound::Part modest{0};
  EXPECT_EQ(TakeAll(bound, greedy), 768u);
  EXPECT_TRUE(bound.tight());
  EXPECT_EQ(TakeAll(bound, modest), 192u);
  EXPECT_EQ(bound.held(), 960u);
  FairBound::Part late{0};
  EXPECT_TRUE(bound.Take(late, 1));
}

TEST(FairBound, HoweverManyTakeAllTheNextGetsSomething) {
  FairBound bound(10'000);
  std::vector<FairBound::Part> greedy(5);
  for (bool more = true; more;) {
    more = false;
    for (auto& part : greedy) more = bound.Take(part, 1) || more;
  }
  for (auto& part : greedy) EXPECT_EQ(part, 1875u);  // 3 of 16 parts each
  FairBound::Part late{0};
  EXPECT_EQ(TakeAll(bound, late), 469u);
}

TEST(FairBound, WhoReturnsGetsItsPartBeforeStrangersDo) {
  FairBound bound(1000);
  FairBound::Part stranger{0};
  while (bound.Take(stranger, 1, FairBound::Rule::kEarly)) {
  }
  EXPECT_EQ(stranger, 251u);
  FairBound::Part first{0};
  while (bound.Take(first, 1, FairBound::Rule::kReturning)) {
  }
  EXPECT_EQ(first, 749u);
  bound.Give(stranger, 251);
  EXPECT_TRUE(bound.Take(first, 1, FairBound::Rule::kReturning));
  EXPECT_FALSE(bound.Take(first, 1, FairBound::Rule::kReturning)) << "three quarters";
  EXPECT_TRUE(bound.MoreThanIsLeft(first));
  EXPECT_FALSE(bound.MoreThanIsLeft(stranger));
}

TEST(FairBound, NothingBeyondTheBound) {
  FairBound bound(10);
  FairBound::Part part{0};
  EXPECT_FALSE(bound.Take(part, 11));
  EXPECT_EQ(part, 0u);
  EXPECT_TRUE(bound.Take(part, 10));
  EXPECT_FALSE(bound.Take(part, 1));
  bound.TakeAnyway(part, 5);
  EXPECT_FALSE(bound.Take(part, 0));
  bound.Give(part, 15);
  EXPECT_EQ(bound.held(), 0u);
  EXPECT_EQ(part, 0u);
}

}  // namespace
}  // namespace tarn
