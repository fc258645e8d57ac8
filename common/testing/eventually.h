// For tests that wait for what another thread or process does.
#pragma once

#include <unistd.h>

#include <chrono>

namespace tarn {

// True once `condition` holds; false after 20 s.
template <typename Condition>
bool Eventually(Condition condition) {
  auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    usleep(2000);
  }
  return true;
}

}  // namespace tarn
