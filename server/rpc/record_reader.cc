#include "server/rpc/record_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tarn::rpc {
namespace {

constexpr uint32_t kLastFragment = 0x80000000;
constexpr size_t kHeaderBytes = 4;

uint32_t HeaderAt(const std::byte* at) {
  uint32_t raw = 0;
  std::memcpy(&raw, at, sizeof(raw));
  return xdr::SwapBig(raw);
}

}  // namespace

bool RecordReader::HoldsRecord(std::span<const std::byte> bytes) {
  while (bytes.size() >= kHeaderBytes) {
    uint32_t header = HeaderAt(bytes.data());
    size_t size = header & ~kLastFragment;
    bytes = bytes.subspan(kHeaderBytes);
    if (bytes.size() < size) return false;
    if ((header & kLastFragment) != 0) return true;
    bytes = bytes.subspan(size);
  }
  return false;
}

void RecordReader::Keep(std::span<const std::byte> rest) {
  ahead_at_ = 0;
  if (!rest.empty()) {
    ahead_.assign(rest.begin(), rest.end());
  } else if (ahead_.capacity() > 0) {
    ahead_ = {};
  }
}

bool RecordReader::TakeAhead(std::byte* scratch, Record& record) {
  std::span<const std::byte> bytes = ahead();
  if (bytes.size() < kHeaderBytes) return false;
  uint32_t header = HeaderAt(bytes.data());
  size_t size = header & ~kLastFragment;
  bool whole = (header & kLastFragment) != 0 && size <= bytes.size() - kHeaderBytes;
  if (!whole) return false;
  std::memcpy(scratch, bytes.data() + kHeaderBytes, size);
  record.bytes = {scratch, size};
  record.large = {};
  ahead_at_ += kHeaderBytes + size;
  if (ahead_at_ == ahead_.size()) Keep({});
  return true;
}

RecordReader::Status RecordReader::Read(Stream& stream, size_t record_bytes_max, BufferPool& pool,
                                        std::byte* scratch, Record& record, std::string& why) {
  if (partial_) return ReadLarge(stream, {}, record_bytes_max, pool, record, why);
  if (TakeAhead(scratch, record)) return Status::kRecord;
  size_t have = ahead().size();
  std::ranges::copy(ahead(), scratch);
  if (!HasRecord()) {
    ssize_t got = stream.Receive(scratch + have, kScratchBytes - have);
    if (got == Stream::kNothing) return Status::kAgain;
    if (got <= 0) return Status::kClosed;
    have += static_cast<size_t>(got);
  }
  bool large = false;
  Status status = TakeSmall({scratch, have}, record_bytes_max, record, large);
  if (!large) return status;
  Keep({});
  partial_ = std::make_unique<Partial>();
  return ReadLarge(stream, {scratch, have}, record_bytes_max, pool, record, why);
}

RecordReader::Status RecordReader::TakeSmall(std::span<const std::byte> bytes,
                                             size_t record_bytes_max, Record& record, bool& large) {
  if (bytes.size() < kHeaderBytes) {
    Keep(bytes);
    return Status::kAgain;
  }
  uint32_t header = HeaderAt(bytes.data());
  size_t size = header & ~kLastFragment;
  bool small = (header & kLastFragment) != 0 && size <= record_bytes_max &&
               size + kHeaderBytes <= kScratchBytes;
  if (!small) {
    large = true;
    return Status::kAgain;
  }
  if (bytes.size() < size + kHeaderBytes) {
    Keep(bytes);
    return Status::kAgain;
  }
  record.bytes = bytes.subspan(kHeaderBytes, size);
  record.large = {};
  Keep(bytes.subspan(kHeaderBytes + size));
  return Status::kRecord;
}

bool RecordReader::BeginFragment(size_t record_bytes_max, BufferPool& pool, std::string& why) {
  Partial& p = *partial_;
  uint32_t header = HeaderAt(p.header.data());
  size_t size = header & ~kLastFragment;
  p.header_bytes = 0;
  p.last = (header & kLastFragment) != 0;
  p.fragment_left = size;
  size_t total = p.received + size;
  if (total > record_bytes_max) {
    why = "a record of " + std::to_string(total) + " bytes or more; the limit is " +
          std::to_string(record_bytes_max);
    return false;
  }
  if (++p.fragments > kFragmentsMax) {
    why = "a record of more than " + std::to_string(kFragmentsMax) + " fragments";
    return false;
  }
  if (total <= p.buffer.capacity) return true;
  // A further fragment: grow in powers, so that many small ones cost no quadratic copying.
  size_t wanted = p.received == 0 ? total : std::min(record_bytes_max, std::max(total, 2 * total));
  Buffer grown = pool.Take(wanted);
  if (!grown.data) {
    why = "no memory left for records in flight; the limit is " +
          std::to_string(BufferPool::kOutstandingBytesMax) + " bytes";
    return false;
  }
  if (p.received > 0) std::memcpy(grown.data.get(), p.buffer.data.get(), p.received);
  pool.Give(std::exchange(p.buffer, std::move(grown)));
  return true;
}

RecordReader::Status RecordReader::ReadLarge(Stream& stream, std::span<const std::byte> bytes,
                                             size_t record_bytes_max, BufferPool& pool,
                                             Record& record, std::string& why) {
  Partial& p = *partial_;
  auto pull = [&stream, &bytes](std::byte* into, size_t wanted) -> ssize_t {
    if (bytes.empty()) return stream.Receive(into, wanted);
    size_t got = std::min(wanted, bytes.size());
    std::memcpy(into, bytes.data(), got);
    bytes = bytes.subspan(got);
    return static_cast<ssize_t>(got);
  };
  while (!p.whole()) {
    ssize_t got = 0;
    if (p.fragment_left > 0) {
      got = pull(p.buffer.data.get() + p.received, p.fragment_left);
      if (got > 0) p.received += static_cast<size_t>(got);
      if (got > 0) p.fragment_left -= static_cast<size_t>(got);
    } else {
      got = pull(p.header.data() + p.header_bytes, kHeaderBytes - p.header_bytes);
      if (got > 0) p.header_bytes += static_cast<uint32_t>(got);
      if (p.header_bytes == kHeaderBytes && !BeginFragment(record_bytes_max, pool, why)) {
        return Status::kBad;
      }
    }
    if (got == Stream::kNothing) return Status::kAgain;
    if (got <= 0) return Status::kClosed;
  }
  record.large = std::move(p.buffer);
  record.bytes = {record.large.data.get(), p.received};
  partial_.reset();
  if (!bytes.empty()) Keep(bytes);
  return Status::kRecord;
}

bool RecordReader::PutBack(Record record, BufferPool& pool) {
  auto whole = std::make_unique<Partial>();
  whole->received = record.bytes.size();
  whole->last = true;
  whole->buffer = std::move(record.large);
  if (!whole->buffer.data && !record.bytes.empty()) {
    whole->buffer = pool.Take(record.bytes.size());
    if (!whole->buffer.data) return false;
    std::ranges::copy(record.bytes, whole->buffer.data.get());
  }
  partial_ = std::move(whole);
  return true;
}

void RecordReader::Drop(BufferPool& pool) {
  if (partial_) pool.Give(std::move(partial_->buffer));
  partial_.reset();
  Keep({});
}

}  // namespace tarn::rpc
