// Byte-range locks of one file (RFC 7530 section 9.1, POSIX semantics within one owner): set with
// upgrade, downgrade and merge; clear with split; conflicts between owners.
//
// Threads: none of its own; the file's stripe lock guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tarn::nfs4 {

class LockOwner;

struct Range {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive; UINT64_MAX is "to the end of the file, however it grows"
  bool write = false;
  const LockOwner* owner = nullptr;
  bool operator==(const Range&) const = default;
};

class RangeList {
 public:
  // Locks of one file, of all clients together (EFS, "Quotas": 512; NFS4ERR_DQUOT).
  static constexpr size_t kRangesMax = 512;

  // A range of another owner that overlaps and excludes this one, or null.
  const Range* Conflict(const Range& wanted) const;
  // Replaces what the owner holds there. Precondition: no Conflict. False: kRangesMax.
  bool Set(const Range& range);
  // Gives up the owner's part of [first, last]. False: a split would exceed kRangesMax.
  bool Clear(const LockOwner* owner, uint64_t first, uint64_t last);
  void ClearOwner(const LockOwner* owner);
  bool Holds(const LockOwner* owner) const;
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;  // one owner's do not overlap; unordered
};

}  // namespace tarn::nfs4
