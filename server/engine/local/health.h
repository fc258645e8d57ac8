// Health: what went wrong with the disk, counted for /metrics.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace tarn::local {

// Of the process, as the metrics are. Threads: any.
struct Health {
  std::atomic<uint64_t> blocks_verified{0};
  std::atomic<uint64_t> damaged{0};
  std::atomic<uint64_t> read_errors{0};
  std::atomic<uint64_t> write_errors{0};
  std::atomic<uint64_t> sync_errors{0};

  // A call that failed, by its name in the log: "read", "sync the directory", "cut".
  void CountError(std::string_view what) {
    auto& errors = what == "read"             ? read_errors
                   : what.starts_with("sync") ? sync_errors
                                              : write_errors;
    errors.fetch_add(1, std::memory_order_relaxed);
  }
};

inline Health& ProcessHealth() {
  static Health health;
  return health;
}

}  // namespace tarn::local
