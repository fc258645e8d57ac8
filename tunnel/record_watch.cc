#include "tunnel/record_watch.h"

#include <algorithm>

namespace tarn::tunnel {
namespace {

constexpr unsigned kMarkBytes = 4;
constexpr unsigned kTypeEnd = 8;  // xid, then the type
constexpr uint32_t kLastFragment = 0x80000000u;
constexpr uint32_t kCall = 0;
constexpr uint32_t kReply = 1;

uint32_t Word(std::span<const std::byte> bytes, size_t at) {
  uint32_t word = 0;
  for (size_t i = 0; i < 4; ++i) word = word << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return word;
}

}  // namespace

// In one fragment, as every client of this world sends; anything else waits like a call.
bool RecordWatch::IsReply(std::span<const std::byte> bytes) {
  return bytes.size() >= kHeadBytes && (Word(bytes, 0) & ~kLastFragment) >= kTypeEnd &&
         Word(bytes, kMarkBytes + 4) == kReply;
}

size_t RecordWatch::TakeMark(std::span<const std::byte> bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && mark_bytes_ < kMarkBytes) {
    mark_ = mark_ << 8 | std::to_integer<uint32_t>(bytes[taken++]);
    ++mark_bytes_;
  }
  if (mark_bytes_ < kMarkBytes) return taken;
  mark_bytes_ = 0;
  last_ = (mark_ & kLastFragment) != 0;
  left_ = mark_ & ~kLastFragment;
  mark_ = 0;
  if (at_start_) head_bytes_ = 0;
  // An empty last fragment ends the record.
  at_start_ = left_ == 0 && last_;
  return taken;
}

size_t RecordWatch::TakeFragment(std::span<const std::byte> bytes) {
  size_t taken = std::min<size_t>(bytes.size(), left_);
  for (size_t i = 0; i < taken && head_bytes_ < kTypeEnd; ++i) {
    type_ = type_ << 8 | std::to_integer<uint32_t>(bytes[i]);
    if (++head_bytes_ < kTypeEnd) continue;
    if (type_ == kCall) ++calls_;
    if (type_ == kReply) ++replies_;
  }
  left_ -= static_cast<uint32_t>(taken);
  if (left_ == 0 && last_) at_start_ = true;
  return taken;
}

size_t RecordWatch::Pass(std::span<const std::byte> bytes, bool hold_calls) {
  size_t at = 0;
  while (at < bytes.size()) {
    auto rest = bytes.subspan(at);
    if (left_ > 0) {
      at += TakeFragment(rest);
      continue;
    }
    if (hold_calls && between_records() && !IsReply(rest)) break;
    at += TakeMark(rest);
  }
  return at;
}

}  // namespace tarn::tunnel
