// RecordWatch: follows RPC record marking (RFC 5531 section 11) in one direction of a connection
// that it does not change, so that one knows when the connection is between calls.
//
// It counts calls and replies by the message type behind the xid (section 9). What is no RPC does
// no harm: it is counted as something else. No allocation, no I/O.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tarn::tunnel {

class RecordWatch {
 public:
  // Follows bytes that pass. With `hold_calls` it stops before the first record that is no reply,
  // or whose type is not known yet. How many of the bytes may pass.
  size_t Pass(std::span<const std::byte> bytes, bool hold_calls);

  // What passed ended with a whole record, or nothing passed.
  bool between_records() const { return at_start_ && mark_bytes_ == 0; }
  uint64_t calls() const { return calls_; }
  uint64_t replies() const { return replies_; }

  // From the start of a held record: xid and type lie behind its mark.
  static constexpr size_t kHeadBytes = 12;

 private:
  size_t TakeMark(std::span<const std::byte> bytes);
  size_t TakeFragment(std::span<const std::byte> bytes);
  static bool IsReply(std::span<const std::byte> bytes);

  bool at_start_ = true;  // of a record
  bool last_ = false;     // this fragment ends its record
  uint32_t mark_ = 0;     // as far as its bytes came
  unsigned mark_bytes_ = 0;
  uint32_t left_ = 0;  // of the fragment
  uint32_t type_ = 0;
  unsigned head_bytes_ = 0;  // of xid and type that came, 8 at most
  uint64_t calls_ = 0, replies_ = 0;
};

}  // namespace tarn::tunnel
