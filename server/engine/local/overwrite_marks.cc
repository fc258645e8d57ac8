#include "server/engine/local/overwrite_marks.h"

#include <algorithm>

namespace tarn::local {
namespace {

constexpr char kMarksVersion = 1;
// 1 MiB around what is written, and 8 MiB for one who goes on where marks end.
constexpr uint64_t kAround = 8;
constexpr uint64_t kAhead = 64;
constexpr std::chrono::seconds kIdleAfter{5};

template <size_t N>
std::string Encode(const std::bitset<N>& bits) {
  std::string out(1 + N / 8, '\0');
  out[0] = kMarksVersion;
  for (size_t i = 0; i < N; ++i) {
    if (bits[i]) out[1 + i / 8] = static_cast<char>(out[1 + i / 8] | 1 << (i % 8));
  }
  return out;
}

template <size_t N>
Result<std::bitset<N>> Decode(std::string_view bytes) {
  if (bytes.size() != 1 + N / 8 || bytes[0] != kMarksVersion) {
    return Error(Code::kCorrupt, "the stored marks of an overwrite cannot be understood");
  }
  std::bitset<N> bits;
  for (size_t i = 0; i < N; ++i) bits[i] = (bytes[1 + i / 8] >> (i % 8) & 1) != 0;
  return bits;
}

}  // namespace

OverwriteMarks::OverwriteMarks(Store& store, uint32_t fs, const Clock& clock)
    : store_(store), fs_(fs), clock_(clock) {}

Result<void> OverwriteMarks::Load() {
  std::string prefix = MetaPrefix('W', fs_);
  Result<void> status;
  std::lock_guard lock(mutex_);
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, auto value) {
    auto bits = Decode<kChunkRegions>(value);
    if (!bits) status = bits.error();
    if (bits) {
      Marks& marks = marks_[{NumberAt(key, prefix.size()), NumberAt(key, prefix.size() + 8)}];
      marks.stored = marks.durable = marks.crashed = *bits;
    }
    return bits.ok();
  }));
  return status;
}

Result<void> OverwriteMarks::End() {
  std::lock_guard lock(mutex_);
  Batch batch(store_);
  for (auto& [key, marks] : marks_) {
    if (marks.crashed.none()) batch.Delete(Table::kMeta, MarksKey(fs_, key.first, key.second));
  }
  if (batch.empty()) return Ok();
  TRY(store_.Write(batch));
  return Ok();
}

bool OverwriteMarks::Covers(const Range& range) {
  std::lock_guard lock(mutex_);
  auto found = marks_.find({range.inode, range.index});
  if (found == marks_.end()) return false;
  found->second.used = clock_.Monotonic();
  for (uint64_t i = range.first; i < range.after; ++i) {
    if (!found->second.durable[i]) return false;
  }
  return true;
}

Result<void> OverwriteMarks::Mark(const Range& range) {
  std::unique_lock lock(mutex_);
  Marks& marks = marks_[{range.inode, range.index}];
  bool goes_on = range.first > 0 && marks.stored[range.first - 1];
  uint64_t first = range.first / kAround * kAround;
  uint64_t after = (range.after + kAround - 1) / kAround * kAround;
  if (goes_on) after = std::max(after, first + kAhead);
  Bits wanted = marks.stored;
  for (uint64_t i = first; i < std::min(after, kChunkRegions); ++i) wanted[i] = true;
  Batch batch(store_);
  batch.Put(Table::kMeta, MarksKey(fs_, range.inode, range.index), Encode(wanted));
  // Within the lock, so that rows are written in the order of their changes.
  TRY(auto ticket, store_.Write(batch));
  marks.stored = wanted;
  marks.used = clock_.Monotonic();
  ++marks.waiting;
  lock.unlock();
  auto synced = store_.Sync(ticket);
  lock.lock();
  --marks.waiting;
  if (synced) marks.durable |= wanted;
  return synced;
}

bool OverwriteMarks::FromCrash(uint64_t inode, uint64_t index, uint64_t region) {
  std::lock_guard lock(mutex_);
  auto found = marks_.find({inode, index});
  return found != marks_.end() && found->second.crashed[region];
}

std::vector<OverwriteMarks::Range> OverwriteMarks::Crashed() {
  std::lock_guard lock(mutex_);
  std::vector<Range> all;
  for (auto& [key, marks] : marks_) {
    if (marks.crashed.any()) all.push_back({key.first, key.second, 0, kChunkRegions});
  }
  return all;
}

void OverwriteMarks::Settled(uint64_t inode, uint64_t index) {
  std::lock_guard lock(mutex_);
  if (auto found = marks_.find({inode, index}); found != marks_.end()) {
    found->second.crashed.reset();
  }
}

std::vector<OverwriteMarks::Range> OverwriteMarks::Idle() {
  std::lock_guard lock(mutex_);
  std::vector<Range> all;
  auto limit = clock_.Monotonic() - kIdleAfter;
  for (auto& [key, marks] : marks_) {
    if (marks.waiting > 0 || marks.used > limit || marks.crashed.any()) continue;
    all.push_back({key.first, key.second, 0, kChunkRegions});
  }
  return all;
}

Result<void> OverwriteMarks::Unmark(uint64_t inode, uint64_t index) {
  std::lock_guard lock(mutex_);
  auto found = marks_.find({inode, index});
  if (found == marks_.end() || found->second.waiting > 0) return Ok();
  Batch batch(store_);
  batch.Delete(Table::kMeta, MarksKey(fs_, inode, index));
  TRY(store_.Write(batch));
  marks_.erase(found);
  return Ok();
}

}  // namespace tarn::local
