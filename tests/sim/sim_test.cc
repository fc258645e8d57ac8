// A seed replays, and simulations come to a good end.
#include <gtest/gtest.h>

#include "tests/sim/simulation.h"

namespace tarn::sim {
namespace {

TEST(Sim, ASeedReplays) {
  Options options{.seed = 7, .steps = 3000};
  Simulation first(options);
  Simulation second(options);
  EXPECT_TRUE(first.Run()) << first.trace().failure();
  EXPECT_TRUE(second.Run());
  EXPECT_EQ(first.trace().hash(), second.trace().hash());
}

TEST(Sim, AnotherSeedIsAnotherSimulation) {
  Simulation first({.seed = 8, .steps = 1000});
  Simulation second({.seed = 9, .steps = 1000});
  EXPECT_TRUE(first.Run()) << first.trace().failure();
  EXPECT_TRUE(second.Run()) << second.trace().failure();
  EXPECT_NE(first.trace().hash(), second.trace().hash());
}

}  // namespace
}  // namespace tarn::sim
