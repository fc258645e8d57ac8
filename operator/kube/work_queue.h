// WorkQueue: keys to reconcile. One key is never worked on twice at once, and however often it is
// added while it waits it is worked on once. A key that fails comes back after an exponentially
// growing wait; a bucket bounds the rate of all retries together.
//
// Thread-safe. At most kMaxKeys keys: a further Add is dropped and counted (the periodic resync
// brings it back).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

namespace tarn::kube {

class WorkQueue {
 public:
  using Clock = std::chrono::steady_clock;
  using Ms = std::chrono::milliseconds;

  static constexpr size_t kMaxKeys = 100000;
  static constexpr Ms kFirstRetry{5};
  static constexpr Ms kLastRetry{15000};
  static constexpr double kRetriesPerSecond = 10;
  static constexpr double kRetryBurst = 100;

  void Add(const std::string& key);
  // If it is already waiting for later, the earlier time wins.
  void AddAfter(const std::string& key, Ms delay);
  // After a failure: waits for this key's backoff and the common bucket. Returns the wait.
  Ms AddRateLimited(const std::string& key);
  // The key succeeded: its backoff starts anew.
  void Forget(const std::string& key);

  // The next key; nothing when `stop` is requested. Done(key) must follow.
  std::optional<std::string> Take(std::stop_token stop);
  void Done(const std::string& key);

  // Keys that wait, now or for later.
  size_t size() const;
  uint64_t dropped() const;

 private:
  void AddLocked(const std::string& key);
  void PromoteDue(Clock::time_point now);

  mutable std::mutex mu_;
  std::condition_variable_any wake_;
  std::deque<std::string> ready_;
  std::set<std::string> dirty_;  // in ready_, or to be put there when processing ends
  std::set<std::string> processing_;
  std::map<std::string, Clock::time_point> later_;
  std::map<std::string, int> failures_;
  double tokens_ = kRetryBurst;
  Clock::time_point tokens_at_ = Clock::now();
  uint64_t dropped_ = 0;
};

}  // namespace tarn::kube
