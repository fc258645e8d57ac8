// Record marking (RFC 5531 section 11): makes records of what a stream socket gives, without ever
// waiting for it.
//
// A small record is read with one system call into the caller's scratch and needs no memory of the
// connection's own; a larger one is read into a buffer from the pool. An idle connection holds
// neither. Threads: not shared; the holder of the connection's read side calls it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/rpc/buffer.h"
#include "server/rpc/stream.h"
#include "server/xdr/codec.h"

namespace tarn::rpc {

// One call's bytes: in `large`, or when that is empty in the scratch they were read with.
struct Record {
  xdr::Opaque bytes;
  Buffer large;
};

class RecordReader {
 public:
  static constexpr size_t kScratchBytes = 8192;
  static constexpr uint32_t kFragmentsMax = 1024;  // of one record

  enum class Status { kRecord, kAgain, kClosed, kBad };

  // One record of at most `record_bytes_max` from the stream. kAgain: not all of
  // it is there yet. kClosed: the peer has ended the stream. kBad: `why` says what the peer did
  // wrong. `scratch` holds kScratchBytes.
  Status Read(Stream& stream, size_t record_bytes_max, BufferPool& pool, std::byte* scratch,
              Record& record, std::string& why);

  // The record that Read just gave is not used now: the next Read gives it again. False, and it is
  // lost, when there is no memory left for records.
  bool PutBack(Record record, BufferPool& pool);

  // A whole record is here already, so that waiting for the socket could be for ever.
  bool HasRecord() const { return partial_ ? partial_->whole() : HoldsRecord(ahead()); }
  // A record has begun and its end is missing.
  bool InRecord() const { return (partial_ || !ahead().empty()) && !HasRecord(); }
  // Nothing was received behind the last record.
  bool empty() const { return !partial_ && ahead().empty(); }
  // Gives memory back to the pool; no Read after this.
  void Drop(BufferPool& pool);

 private:
  struct Partial {
    Buffer buffer;
    size_t received = 0;
    size_t fragment_left = 0;
    uint32_t fragments = 0;
    bool last = false;
    std::array<std::byte, 4> header{};
    uint32_t header_bytes = 0;
    bool whole() const { return last && fragment_left == 0; }
  };

  static bool HoldsRecord(std::span<const std::byte> bytes);
  std::span<const std::byte> ahead() const { return std::span(ahead_).subspan(ahead_at_); }
  // Keeps what comes after a record; an idle connection owns no buffer.
  void Keep(std::span<const std::byte> rest);
  // Copies the next record into the scratch if it is a small one and here already.
  bool TakeAhead(std::byte* scratch, Record& record);
  Status TakeSmall(std::span<const std::byte> bytes, size_t record_bytes_max, Record& record,
                   bool& large);
  Status ReadLarge(Stream& stream, std::span<const std::byte> bytes, size_t record_bytes_max,
                   BufferPool& pool, Record& record, std::string& why);
  // Looks at a complete fragment header; false and `why` when it lies.
  bool BeginFragment(size_t record_bytes_max, BufferPool& pool, std::string& why);

  std::vector<std::byte> ahead_;  // read already; from ahead_at_ on not yet given out
  size_t ahead_at_ = 0;
  std::unique_ptr<Partial> partial_;
};

}  // namespace tarn::rpc
