// LogRation: keeps a flood of clients from filling the log.
//
// Threads: any.
#pragma once

#include <chrono>
#include <mutex>

namespace tarn {

class LogRation {
 public:
  static constexpr int kLinesPerSecond = 10;
  // True when a line may be written now.
  bool Take() {
    auto second = std::chrono::floor<std::chrono::seconds>(std::chrono::steady_clock::now());
    std::lock_guard lock(mutex_);
    if (second != second_) lines_ = 0;
    second_ = second;
    return ++lines_ <= kLinesPerSecond;
  }

 private:
  std::mutex mutex_;
  std::chrono::time_point<std::chrono::steady_clock, std::chrono::seconds> second_;
  int lines_ = 0;
};

}  // namespace tarn
