#include "common/clock.h"

#include <ctime>

namespace tarn {
namespace {

class RealClock : public Clock {
 public:
  Nanoseconds Now() const override { return Read(CLOCK_REALTIME); }
  Nanoseconds Monotonic() const override { return Read(CLOCK_MONOTONIC); }

 private:
  static Nanoseconds Read(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return std::chrono::seconds{now.tv_sec} + Nanoseconds{now.tv_nsec};
  }
};

}  // namespace

const Clock& SystemClock() {
  static const RealClock clock;
  return clock;
}

}  // namespace tarn
