// Time, passed in so that every state machine is tested without sleeping.
//
// Threads: any. SystemClock() is the real one; ManualClock stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tarn {

class Clock {
 public:
  using Nanoseconds = std::chrono::nanoseconds;
  virtual ~Clock() = default;
  // Since the epoch of 1970, UTC: what file times show. May jump.
  virtual Nanoseconds Now() const = 0;
  // Since some fixed point: what leases and timeouts count. Never goes back.
  virtual Nanoseconds Monotonic() const = 0;
};

// Lives for ever.
const Clock& SystemClock();

class ManualClock : public Clock {
 public:
  explicit ManualClock(Nanoseconds start = std::chrono::seconds{1'000'000'000}) : now_(start) {}
  Nanoseconds Now() const override { return now_.load(); }
  Nanoseconds Monotonic() const override { return now_.load(); }
  void Advance(Nanoseconds by) { now_.store(now_.load() + by); }

 private:
  std::atomic<Nanoseconds> now_;
};

}  // namespace tarn
