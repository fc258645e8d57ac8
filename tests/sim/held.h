// The model of opens and byte-range locks: who holds what in this run of the server, and what its
// last run's holders may reclaim.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <vector>

#include "tests/sim/tree.h"

namespace tarn::sim {

using Actor = uint32_t;  // a simulated client, over its reboots

struct Holding {
  Actor actor = 0;
  uint32_t owner = 0;
  FileNo file = 0;
  auto operator<=>(const Holding&) const = default;
};

struct Share {
  uint32_t access = 0;
  uint32_t deny = 0;
  stateid4 state{};  // as the server last gave it
};

struct LockRange {
  uint64_t first = 0;
  uint64_t last = 0;
  bool write = false;
};

// What is unlocked is locked no more, by an owner's own ranges.
void Subtract(std::vector<LockRange>& ranges, uint64_t first, uint64_t last);

class Held {
 public:
  // --- opens ---
  const Share* FindOpen(const Holding& who) const;
  // Whose opens exclude this one.
  std::set<Actor> ShareConflicts(const Holding& who, const Share& wanted) const;
  // Whose deny modes exclude I/O that has no open.
  std::set<Actor> DenyConflicts(FileNo file, bool write) const;
  // True: it is a new open, to be pinned.
  bool Open(const Holding& who, const Share& share);
  void Downgrade(const Holding& who, const Share& share) { opens_[who] = share; }
  // With its locks.
  void Close(const Holding& who);

  // --- locks ---
  // The lock state of that owner, if there is one.
  stateid4* LockState(const Holding& who);
  void SetLockState(const Holding& who, const stateid4& state) { lock_states_[who] = state; }
  std::set<Actor> LockConflicts(const Holding& who, const LockRange& range) const;
  void Lock(const Holding& who, const LockRange& range);
  void Unlock(const Holding& who, uint64_t first, uint64_t last);

  // --- clients ---
  bool HoldsAny(Actor actor) const;
  // Takes all away; gives the files whose opens went, once for each.
  std::vector<FileNo> Drop(Actor actor);
  // All that is held may be reclaimed now, and what could be before still can.
  void Restart();
  bool MayReclaimOpen(const Holding& who) const;
  bool MayReclaimLock(const Holding& who, const LockRange& range) const;
  bool HeldBefore(Actor actor) const { return before_.contains(actor); }
  bool AnyBefore() const { return !before_.empty(); }
  std::set<Actor> Before() const;
  // Is there a lock to be reclaimed?
  bool LocksBefore() const;
  void ForgetBefore(Actor actor) { before_.erase(actor); }
  void EndGrace() { before_.clear(); }
  const std::map<Holding, Share>& opens() const { return opens_; }

 private:
  using Ranges = std::vector<LockRange>;
  struct Former {
    std::map<Holding, Share> opens;
    std::map<Holding, Ranges> locks;
  };
  std::map<Holding, Share> opens_;
  std::map<Holding, Ranges> locks_;
  std::map<Holding, stateid4> lock_states_;
  std::map<Actor, Former> before_;
};

}  // namespace tarn::sim
