// VolumeLocks: at most one call works on a volume (or a path) at a time; a second one is told to
// come back (ABORTED, which the sidecars and kubelet retry) instead of waiting behind what may be
// slow.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

#include "common/result.h"

namespace tarn::csi {

class VolumeLocks {
 public:
  class Hold {
   public:
    Hold(VolumeLocks* locks, std::string key) : locks_(locks), key_(std::move(key)) {}
    Hold(Hold&& other) noexcept : locks_(other.locks_), key_(std::move(other.key_)) {
      other.locks_ = nullptr;
    }
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (locks_ != nullptr) locks_->Drop(key_);
    }

   private:
    VolumeLocks* locks_;
    std::string key_;
  };

  // kAborted: someone holds it, and still does after `wait`. The locks must outlive the hold.
  Result<Hold> Take(const std::string& key, std::chrono::milliseconds wait = {}) {
    std::unique_lock lock(mu_);
    bool free = released_.wait_for(lock, wait, [&] { return !held_.contains(key); });
    if (!free) return Error(Code::kAborted, "another operation on '" + key + "' is under way");
    held_.insert(key);
    return Hold(this, key);
  }

 private:
  void Drop(const std::string& key) {
    {
      std::lock_guard guard(mu_);
      held_.erase(key);
    }
    released_.notify_all();
  }

  std::mutex mu_;
  std::condition_variable released_;
  std::set<std::string> held_;  // bounded by the server's number of threads
};

}  // namespace tarn::csi
