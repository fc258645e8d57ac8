// What a disk does wrong for a while.
#pragma once

#include <cerrno>
#include <string>

#include "server/engine/local/testing/simulated_disk.h"
#include "tests/sim/random.h"

namespace tarn::sim {

struct Faults {
  // The calls of these kinds, a set of 1 << local::SimulatedDisk::Kind, fail with `error`: those on
  // chunk files, on the database's files, or both. So many of a thousand do.
  int error = 0;
  uint32_t kinds = 0;
  bool chunks = false;
  bool database = false;
  uint32_t of_thousand = 1000;
  // Others have left so few bytes that growth is refused; 0: there is room.
  uint64_t left_bytes = 0;
  // A call takes up to so long.
  uint32_t slow_ms = 0;

  // May the server think that the disk is full, until it looks again?
  bool fills() const { return left_bytes != 0 || error == ENOSPC; }
  bool any() const { return error != 0 || left_bytes != 0 || slow_ms != 0; }
  bool Hits(const local::SimulatedDisk::Call& call) const;
  std::string Text() const;
};

Faults PickFaults(Random& random);

}  // namespace tarn::sim
