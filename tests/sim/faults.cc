#include "tests/sim/faults.h"

#include <cerrno>
#include <cstring>

namespace tarn::sim {
namespace {

using Kind = local::SimulatedDisk::Kind;

constexpr uint32_t Set(std::initializer_list<Kind> kinds) {
  uint32_t set = 0;
  for (Kind kind : kinds) set |= 1U << static_cast<uint32_t>(kind);
  return set;
}

// Reads of the database are left out: whether one is made depends on when a thread of the database
// has compacted, so a seed would not replay. So are its threads' calls (Host::OnDiskCall).
constexpr Faults kFaults[] = {
    {.error = EIO, .kinds = Set({Kind::kSync}), .chunks = true},
    {.error = EIO,
     .kinds = Set({Kind::kWrite, Kind::kResize, Kind::kAllocate, Kind::kPunch}),
     .chunks = true},
    {.error = EIO, .kinds = Set({Kind::kRead}), .chunks = true},
    {.error = EIO,
     .kinds = Set({Kind::kOpen, Kind::kRemove, Kind::kMakeDirectory}),
     .chunks = true},
    {.error = ENOSPC, .kinds = Set({Kind::kWrite, Kind::kAllocate}), .chunks = true},
    {.error = EIO, .kinds = Set({Kind::kSync}), .database = true},
    {.error = EIO, .kinds = Set({Kind::kWrite, Kind::kSync}), .database = true},
    {.error = EIO,
     .kinds = Set({Kind::kOpen, Kind::kRename, Kind::kSyncDirectory}),
     .database = true},
    {.error = EIO,
     .kinds = Set({Kind::kWrite, Kind::kSync, Kind::kSyncDirectory, Kind::kResize, Kind::kAllocate,
                   Kind::kPunch, Kind::kRemove, Kind::kRename}),
     .chunks = true,
     .database = true},
    {.left_bytes = 6U << 20},
    {.slow_ms = 1000},
};

}  // namespace

bool Faults::Hits(const local::SimulatedDisk::Call& call) const {
  if (error == 0 || (kinds >> static_cast<uint32_t>(call.kind) & 1) == 0) return false;
  bool of_chunks = call.path.find("/chunks") != std::string::npos;
  bool of_database = call.path.find("/meta") != std::string::npos;
  return (of_chunks && chunks) || (of_database && database);
}

std::string Faults::Text() const {
  if (left_bytes != 0) return "the disk is full";
  if (slow_ms != 0) return "the disk is slow";
  if (error == 0) return "the disk is well";
  std::string text = std::string(std::strerror(error)) + " of " + std::to_string(of_thousand) +
                     " in 1000 calls of kinds " + std::to_string(kinds);
  return text + (chunks ? " on chunk files" : "") + (database ? " on the database" : "");
}

Faults PickFaults(Random& random) {
  Faults faults = random.Pick(kFaults);
  if (random.Chance(500)) faults.of_thousand = static_cast<uint32_t>(random.Between(100, 700));
  return faults;
}

}  // namespace tarn::sim
