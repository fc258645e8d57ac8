// The power-cut test: a few clients work on an engine whose disk is cut at every sync and between;
// each disk that a cut leaves is opened and compared with what the clients had been told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tarn::local {

struct PowerCutOptions {
  uint64_t seed = 1;
  int clients = 2;
  int steps = 150;  // of each client
  // Of a hundred writes, names and the like, so many are a moment for a cut too.
  unsigned between_percent = 3;
  bool encrypted = false;
};

struct PowerCutReport {
  uint64_t steps = 0;
  uint64_t cuts = 0;
  // One line each, with the seeds to do it again: nothing when all is well.
  std::vector<std::string> problems;
};

PowerCutReport CutPowerEverywhere(const PowerCutOptions& options);

}  // namespace tarn::local
