// Power cuts at every sync of a short workload. The long form: engine_local_power_cut.
#include "server/engine/local/testing/power_cut.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tarn::local {
namespace {

void CutPower(bool encrypted, std::chrono::seconds enough) {
  constexpr uint64_t kSeedsMin = 2;
  auto begin = std::chrono::steady_clock::now();
  uint64_t cuts = 0;
  for (uint64_t seed = 1; !::testing::Test::HasFailure(); ++seed) {
    if (seed > kSeedsMin && std::chrono::steady_clock::now() - begin > enough) break;
    PowerCutOptions options;
    options.seed = seed;
    options.clients = static_cast<int>(1 + seed % 2);
    options.steps = 60;
    options.encrypted = encrypted;
    PowerCutReport report = CutPowerEverywhere(options);
    cuts += report.cuts;
    for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
  }
  EXPECT_GT(cuts, 100u);
  ::testing::Test::RecordProperty("cuts", static_cast<int>(cuts));
}

TEST(PowerCut, WhatWasAnsweredIsThereAndNothingIsHalfDone) {
  CutPower(false, std::chrono::seconds(15));
}

TEST(PowerCut, NorInAnEncryptedFileSystem) {
  CutPower(true, std::chrono::seconds(10));
}

}  // namespace
}  // namespace tarn::local
