// Include this in a test program in which gRPC speaks TLS. gRPC's own threads use OpenSSL, which
// keeps a random generator for each and frees it when the thread ends. gRPC lets go of its threads
// without a join: were one still ending while the process exits, LeakSanitizer would say that its
// generator leaks. So the program waits for them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <thread>

namespace tarn::rpcs {

class ThreadsEnd : public testing::Environment {
 public:
  void TearDown() override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    while (Threads() > 1 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }

 private:
  static std::ptrdiff_t Threads() {
    std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  }
};

inline testing::Environment* const threads_end = testing::AddGlobalTestEnvironment(new ThreadsEnd);

}  // namespace tarn::rpcs
