#include "server/nfs4/state/ranges.h"

#include <algorithm>

namespace tarn::nfs4 {
namespace {

bool Overlaps(const Range& a, uint64_t first, uint64_t last) {
  return a.first <= last && first <= a.last;
}

// Takes the owner's bytes from `first` to `last` out: of a range around them two are left.
void Cut(std::vector<Range>& ranges, const LockOwner* owner, uint64_t first, uint64_t last) {
  std::vector<Range> rests;
  std::erase_if(ranges, [&](const Range& held) {
    if (held.owner != owner || !Overlaps(held, first, last)) return false;
    if (held.first < first) rests.push_back({held.first, first - 1, held.write, owner});
    if (held.last > last) rests.push_back({last + 1, held.last, held.write, owner});
    return true;
  });
  ranges.insert(ranges.end(), rests.begin(), rests.end());
}

bool Take(std::vector<Range> next, std::vector<Range>& ranges) {
  if (next.size() > RangeList::kRangesMax) return false;
  ranges = std::move(next);
  return true;
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
  std::vector<Range> next = ranges_;
  Cut(next, range.owner, range.first, range.last);
  Range merged = range;
  // Neighbours of the same kind become one with it.
  std::erase_if(next, [&](const Range& held) {
    if (held.owner != range.owner || held.write != range.write) return false;
    bool before = held.last != UINT64_MAX && held.last + 1 == range.first;
    bool after = range.last != UINT64_MAX && range.last + 1 == held.first;
    if (before) merged.first = held.first;
    if (after) merged.last = held.last;
    return before || after;
  });
  next.push_back(merged);
  return Take(std::move(next), ranges_);
}

bool RangeList::Clear(const LockOwner* owner, uint64_t first, uint64_t last) {
  std::vector<Range> next = ranges_;
  Cut(next, owner, first, last);
  return Take(std::move(next), ranges_);
}

void RangeList::ClearOwner(const LockOwner* owner) {
  std::erase_if(ranges_, [owner](const Range& held) { return held.owner == owner; });
}

bool RangeList::Holds(const LockOwner* owner) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [owner](const Range& held) { return held.owner == owner; });
}

}  // namespace tarn::nfs4
