// Backoff: exponential waits with jitter.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace tarn::kube {

class Backoff {
 public:
  using Ms = std::chrono::milliseconds;
  Backoff(Ms first, Ms last, double jitter = 1.0)
      : first_(first), last_(last), next_(first), jitter_(jitter) {}

  // The wait before the next try: doubles up to the last, plus up to `jitter` times itself.
  Ms Next() {
    Ms base = next_;
    next_ = std::min(last_, next_ * 2);
    std::uniform_real_distribution<double> extra(0.0, jitter_);
    return base + Ms(static_cast<int64_t>(static_cast<double>(base.count()) * extra(random_)));
  }
  void Reset() { next_ = first_; }

 private:
  Ms first_, last_, next_;
  double jitter_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace tarn::kube
