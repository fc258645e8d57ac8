// Threads that take events from one epoll set, and how many of them there are.
//
// It starts with `min` threads. One is added when all are busy, an event waits, and the processor
// is not what they are short of: threads that wait for a disk need company, threads that compute do
// not. A thread that had nothing to do for kIdleSeconds goes, down to `min`.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tarn::rpc {

class WorkerPool {
 public:
  static constexpr std::chrono::seconds kIdle{10};
  // How often Grow wants to be called while the pool is saturated.
  static constexpr std::chrono::milliseconds kGrowInterval{2};

  // One thread's place: `index` < max names it, and is used again after the thread has gone.
  // `event` was taken by this thread alone.
  using Body = std::function<void(size_t index, const epoll_event& event)>;
  // Called once, by the thread that makes the pool saturated, to have Grow called from now on.
  using Saturated = std::function<void()>;

  WorkerPool(int epoll, uint32_t min, uint32_t max, Body body, Saturated saturated);
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when not even one thread could be started.
  bool Start();
  // Lets each thread end its event; returns when all are gone.
  void Stop();

  bool saturated() const { return saturated_.load(std::memory_order_relaxed); }
  // Adds a thread if one is needed. From one thread only.
  void Grow();
  uint32_t threads() const { return threads_.load(); }

 private:
  bool AddThread();
  void Run(size_t index);
  bool MayLeave();

  const int epoll_;
  const uint32_t min_;
  const uint32_t max_;
  const Body body_;
  const Saturated on_saturated_;
  int stop_event_ = -1;  // in the epoll set with data.ptr == nullptr; readable when stopping
  std::atomic<uint32_t> threads_{0};
  std::atomic<uint32_t> busy_{0};
  std::atomic<bool> saturated_{false};
  std::atomic<bool> stopping_{false};
  std::chrono::nanoseconds processor_used_{0};  // at the last Grow
  std::chrono::steady_clock::time_point grown_at_;
  std::mutex mutex_;
  std::vector<std::thread> places_;   // guarded by mutex_; one that left is joined on reuse
  std::vector<bool> place_is_taken_;  // guarded by mutex_
};

}  // namespace tarn::rpc
