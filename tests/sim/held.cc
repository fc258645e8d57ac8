#include "tests/sim/held.h"

#include <algorithm>

namespace tarn::sim {

const Share* Held::FindOpen(const Holding& who) const {
  auto found = opens_.find(who);
  return found == opens_.end() ? nullptr : &found->second;
}

std::set<Actor> Held::ShareConflicts(const Holding& who, const Share& wanted) const {
  std::set<Actor> conflicts;
  for (const auto& [other, share] : opens_) {
    // What an owner denies, it denies itself too (RFC 7530 section 9.9).
    bool excludes = (share.access & wanted.deny) != 0 || (share.deny & wanted.access) != 0;
    if (other.file == who.file && excludes) conflicts.insert(other.actor);
  }
  return conflicts;
}

std::set<Actor> Held::DenyConflicts(FileNo file, bool write) const {
  std::set<Actor> conflicts;
  uint32_t needed = write ? nfs4::OPEN4_SHARE_DENY_WRITE : nfs4::OPEN4_SHARE_DENY_READ;
  for (const auto& [other, share] : opens_) {
    if (other.file == file && (share.deny & needed) != 0) conflicts.insert(other.actor);
  }
  return conflicts;
}

bool Held::Open(const Holding& who, const Share& share) {
  auto [open, fresh] = opens_.try_emplace(who, share);
  open->second.access |= share.access;
  open->second.deny |= share.deny;
  open->second.state = share.state;
  return fresh;
}

void Held::Close(const Holding& who) {
  opens_.erase(who);
  locks_.erase(who);
  lock_states_.erase(who);
}

stateid4* Held::LockState(const Holding& who) {
  auto found = lock_states_.find(who);
  return found == lock_states_.end() ? nullptr : &found->second;
}

std::set<Actor> Held::LockConflicts(const Holding& who, const LockRange& range) const {
  std::set<Actor> conflicts;
  for (const auto& [other, ranges] : locks_) {
    if (other.file != who.file || other == who) continue;
    bool hit = std::any_of(ranges.begin(), ranges.end(), [&](const LockRange& one) {
      return one.first <= range.last && range.first <= one.last && (one.write || range.write);
    });
    if (hit) conflicts.insert(other.actor);
  }
  return conflicts;
}

void Subtract(std::vector<LockRange>& ranges, uint64_t first, uint64_t last) {
  std::vector<LockRange> left;
  for (const LockRange& one : ranges) {
    if (one.last < first || one.first > last) {
      left.push_back(one);
      continue;
    }
    if (one.first < first) left.push_back({one.first, first - 1, one.write});
    if (one.last > last) left.push_back({last + 1, one.last, one.write});
  }
  ranges = std::move(left);
}

void Held::Unlock(const Holding& who, uint64_t first, uint64_t last) {
  Subtract(locks_[who], first, last);
}

void Held::Lock(const Holding& who, const LockRange& range) {
  Unlock(who, range.first, range.last);
  locks_[who].push_back(range);
}

bool Held::HoldsAny(Actor actor) const {
  auto first = opens_.lower_bound({actor, 0, 0});
  return first != opens_.end() && first->first.actor == actor;
}

std::vector<FileNo> Held::Drop(Actor actor) {
  std::vector<FileNo> files;
  for (const auto& [who, share] : opens_) {
    if (who.actor == actor) files.push_back(who.file);
  }
  std::erase_if(opens_, [&](const auto& one) { return one.first.actor == actor; });
  std::erase_if(locks_, [&](const auto& one) { return one.first.actor == actor; });
  std::erase_if(lock_states_, [&](const auto& one) { return one.first.actor == actor; });
  return files;
}

void Held::Restart() {
  for (const auto& [who, share] : opens_) {
    Share& former = before_[who.actor].opens[who];
    former.access |= share.access;
    former.deny |= share.deny;
  }
  for (const auto& [who, ranges] : locks_) {
    Ranges& former = before_[who.actor].locks[who];
    former.insert(former.end(), ranges.begin(), ranges.end());
  }
  opens_.clear();
  locks_.clear();
  lock_states_.clear();
}

bool Held::MayReclaimOpen(const Holding& who) const {
  auto actor = before_.find(who.actor);
  return actor != before_.end() && actor->second.opens.contains(who);
}

bool Held::MayReclaimLock(const Holding& who, const LockRange& range) const {
  auto actor = before_.find(who.actor);
  if (actor == before_.end()) return false;
  auto ranges = actor->second.locks.find(who);
  if (ranges == actor->second.locks.end()) return false;
  return std::any_of(ranges->second.begin(), ranges->second.end(), [&](const LockRange& one) {
    return one.first <= range.first && one.last >= range.last && (one.write || !range.write);
  });
}

bool Held::LocksBefore() const {
  for (const auto& [actor, former] : before_) {
    for (const auto& [who, ranges] : former.locks) {
      if (!ranges.empty()) return true;
    }
  }
  return false;
}

std::set<Actor> Held::Before() const {
  std::set<Actor> actors;
  for (const auto& [actor, former] : before_) actors.insert(actor);
  return actors;
}

}  // namespace tarn::sim
