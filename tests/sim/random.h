// Seeded random numbers (xorshift64*): the only source of chance in a simulation.
#pragma once

#include <cstdint>
#include <iterator>

namespace tarn::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_((seed + 1) * 0x9e3779b97f4a7c15) {}
  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }
  // Precondition: `limit` > 0.
  uint64_t Below(uint64_t limit) { return (Next() >> 16) % limit; }
  uint64_t Between(uint64_t least, uint64_t most) { return least + Below(most - least + 1); }
  bool Chance(uint32_t of_thousand) { return Below(1000) < of_thousand; }
  template <typename Container>
  auto& Pick(Container& from) {
    return from[Below(std::size(from))];
  }

 private:
  uint64_t state_;
};

}  // namespace tarn::sim
