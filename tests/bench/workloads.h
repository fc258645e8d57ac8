// What tarn-bench can measure.
#pragma once

#include <string>
#include <string_view>

#include "tests/bench/runner.h"

namespace tarn::bench {

struct WorkloadOptions {
  std::string path;                // the directory to work in, from the root; must exist
  uint64_t files = 10'000;         // of all connections together
  uint64_t file_bytes = 64 << 20;  // of one connection's file, for reads and writes
  uint32_t small_bytes = 0;        // what `create` writes into each file
  uint32_t io_bytes = 1 << 20;     // of one READ or WRITE
  bool sync = false;               // writes are FILE_SYNC4 and not UNSTABLE4 with a COMMIT
  uint32_t connections = 1;
};

// The names Make knows, with a line about each.
struct WorkloadName {
  std::string_view name;
  std::string_view about;
};
const std::vector<WorkloadName>& WorkloadNames();

// Nothing for a name that is not known.
std::unique_ptr<Workload> Make(std::string_view name, const WorkloadOptions& options,
                               uint32_t thread);

}  // namespace tarn::bench
