// StructureLock: a shared mutex in which a writer does not starve.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

namespace tarn::local {

class StructureLock {
 public:
  void lock_shared() {
    if (waiting_.load() > 0) std::lock_guard wait(gate_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }
  void lock() {
    ++waiting_;
    gate_.lock();
    mutex_.lock();
  }
  void unlock() {
    mutex_.unlock();
    gate_.unlock();
    --waiting_;
  }

 private:
  std::shared_mutex mutex_;
  std::mutex gate_;
  std::atomic<int> waiting_{0};
};

}  // namespace tarn::local
