#include "server/nfs4/state/ranges.h"

#include <algorithm>

namespace tarn::nfs4 {
namespace {

bool Overlaps(const Range& a, uint64_t first, uint64_t last) {
  return a.first <= last && first <= a.last;
}

}  // namespace

const Range* RangeList::Conflict(const Range& wanted) const {
  for (const Range& held : ranges_) {
    bool excludes = held.owner != wanted.owner && (held.write || wanted.write);
    if (excludes && Overlaps(held, wanted.first, wanted.last)) return &held;
  }
  return nullptr;
}

bool RangeList::Set(const Range& range) {
  if (ranges_.size() + 2 > kRangesMax) return false;
  Clear(range.owner, range.first, range.last);
  Range merged = range;
  // Neighbours of the same kind become one with it.
  std::erase_if(ranges_, [&](const Range& held) {
    if (held.owner != range.owner || held.write != range.write) return false;
    bool before = held.last != UINT64_MAX && held.last + 1 == range.first;
    bool after = range.last != UINT64_MAX && range.last + 1 == held.first;
    if (before) merged.first = held.first;
    if (after) merged.last = held.last;
    return before || after;
  });
  ranges_.push_back(merged);
  return true;
}

bool RangeList::Clear(const LockOwner* owner, uint64_t first, uint64_t last) {
  if (ranges_.size() + 1 > kRangesMax) return false;
  std::vector<Range> rests;
  std::erase_if(ranges_, [&](const Range& held) {
    if (held.owner != owner || !Overlaps(held, first, last)) return false;
    if (held.first < first) rests.push_back({held.first, first - 1, held.write, owner});
    if (held.last > last) rests.push_back({last + 1, held.last, held.write, owner});
    return true;
  });
  ranges_.insert(ranges_.end(), rests.begin(), rests.end());
  return true;
}

void RangeList::ClearOwner(const LockOwner* owner) {
  std::erase_if(ranges_, [owner](const Range& held) { return held.owner == owner; });
}

bool RangeList::Holds(const LockOwner* owner) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [owner](const Range& held) { return held.owner == owner; });
}

}  // namespace tarn::nfs4
