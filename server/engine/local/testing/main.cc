// engine_local_power_cut FIRST LAST [STEPS]: the power-cut test with all seeds of a range. Ends
// with the first seed that shows a problem, and status 1.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>

#include "server/engine/local/testing/power_cut.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FIRST_SEED LAST_SEED [STEPS]\n", argv[0]);
    return 2;
  }
  spdlog::set_level(spdlog::level::err);
  uint64_t cuts = 0;
  for (uint64_t seed = std::stoull(argv[1]); seed <= std::stoull(argv[2]); ++seed) {
    tarn::local::PowerCutOptions options;
    options.seed = seed;
    options.clients = static_cast<int>(1 + seed % 3);
    if (argc > 3) options.steps = std::stoi(argv[3]);
    auto report = tarn::local::CutPowerEverywhere(options);
    cuts += report.cuts;
    std::printf("seed %llu: %llu steps, %llu cuts\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(report.steps),
                static_cast<unsigned long long>(report.cuts));
    std::fflush(stdout);
    for (const std::string& problem : report.problems) std::printf("%s\n", problem.c_str());
    if (!report.problems.empty()) return 1;
  }
  std::printf("%llu cuts, no problem\n", static_cast<unsigned long long>(cuts));
  return 0;
}
