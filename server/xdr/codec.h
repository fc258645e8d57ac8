// XDR (RFC 4506): bounds-checked decoding from one record, and encoding that never copies bulk
// data.
//
// Generated code (xdrgen.py) and the few bodies written by hand use the same two classes.
// Threads: none of these are shared.
#pragma once

#include <sys/uio.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tarn::xdr {

using Opaque = std::span<const std::byte>;

inline constexpr size_t Padded(size_t bytes) {
  return (bytes + 3) & ~size_t{3};
}

inline uint32_t SwapBig(uint32_t v) {
  return __builtin_bswap32(v);
}
inline uint64_t SwapBig(uint64_t v) {
  return __builtin_bswap64(v);
}

// Reads a record that must outlive the decoder and every Opaque and string_view taken from it.
// A false return means that the bytes break the XDR rules or a bound; what was read so far is
// unspecified.
class Decoder {
 public:
  explicit Decoder(Opaque record) : at_(record.data()), end_(record.data() + record.size()) {}

  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  Opaque rest() const { return {at_, remaining()}; }

  bool Get(uint32_t& value) { return GetBig(value); }
  bool Get(uint64_t& value) { return GetBig(value); }
  bool Get(int32_t& value) {
    uint32_t raw = 0;
    if (!GetBig(raw)) return false;
    value = std::bit_cast<int32_t>(raw);
    return true;
  }
  bool Get(int64_t& value) {
    uint64_t raw = 0;
    if (!GetBig(raw)) return false;
    value = std::bit_cast<int64_t>(raw);
    return true;
  }
  bool Get(bool& value) {
    uint32_t raw = 0;
    if (!GetBig(raw) || raw > 1) return false;
    value = raw == 1;
    return true;
  }
  // A counted array's length; each element takes at least 4 bytes, so a lying count cannot make
  // the caller allocate more than the record holds.
  bool GetCount(uint32_t& count, uint32_t max) {
    return GetBig(count) && count <= max && count <= remaining() / 4;
  }
  bool GetOpaque(Opaque& value, uint32_t max) {
    uint32_t size = 0;
    if (!GetBig(size) || size > max || remaining() < Padded(size)) return false;
    value = {at_, size};
    at_ += Padded(size);
    return true;
  }
  bool GetString(std::string_view& value, uint32_t max) {
    Opaque raw;
    if (!GetOpaque(raw, max)) return false;
    value = {reinterpret_cast<const char*>(raw.data()), raw.size()};
    return true;
  }
  template <size_t N>
  bool GetFixed(std::array<std::byte, N>& value) {
    if (remaining() < Padded(N)) return false;
    std::memcpy(value.data(), at_, N);
    at_ += Padded(N);
    return true;
  }
  bool Skip(size_t bytes) {
    if (remaining() < bytes) return false;
    at_ += bytes;
    return true;
  }

 private:
  template <typename T>
  bool GetBig(T& value) {
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, at_, sizeof(T));
    value = SwapBig(value);
    at_ += sizeof(T);
    return true;
  }
  const std::byte* at_;
  const std::byte* end_;
};

// Appends to a buffer of its own; opaque data of kBulkBytesMin and more is referenced, not copied,
// and must live until the encoder is sent or cleared (Hold takes ownership for that long).
class Encoder {
 public:
  static constexpr size_t kBulkBytesMin = 4096;

  // A place to come back to: everything after it can be dropped, or a word at it overwritten.
  struct Mark {
    size_t bytes;
    size_t bulks;
    size_t bulk_bytes;
  };

  Encoder() = default;
  Encoder(Encoder&& other) noexcept { *this = std::move(other); }
  Encoder& operator=(Encoder&& other) noexcept;

  // Total bytes, bulk included.
  size_t size() const { return size_ + bulk_bytes_; }

  void Put(uint32_t value) { PutBig(value); }
  void Put(uint64_t value) { PutBig(value); }
  void Put(int32_t value) { PutBig(std::bit_cast<uint32_t>(value)); }
  void Put(int64_t value) { PutBig(std::bit_cast<uint64_t>(value)); }
  void Put(bool value) { PutBig(uint32_t{value}); }
  void PutOpaque(Opaque value);
  void PutString(std::string_view value) { PutOpaque(std::as_bytes(std::span(value))); }
  template <size_t N>
  void PutFixed(const std::array<std::byte, N>& value) {
    PutRaw(value);
    Pad(N);
  }
  // Bytes that are XDR already.
  void PutRaw(Opaque value) {
    if (!value.empty()) std::memcpy(Extend(value.size()), value.data(), value.size());
  }

  Mark mark() const { return {size_, bulks_.size(), bulk_bytes_}; }
  void Truncate(const Mark& mark);
  void PatchU32(const Mark& at, uint32_t value);

  void Hold(std::unique_ptr<std::byte[]> memory) { held_.push_back(std::move(memory)); }
  void Clear();

  // The encoded bytes in order, for writev. Valid until the next change.
  void Gather(std::vector<iovec>& out) const;
  // The same bytes, copied.
  void AppendTo(std::vector<std::byte>& out, const Mark& from = {0, 0, 0}) const;
  // The bytes from `from` on as one piece.
  std::vector<std::byte> Flatten(const Mark& from = {0, 0, 0}) const;

 private:
  struct Bulk {
    size_t before;  // goes in front of bytes_[before]
    Opaque data;
  };
  template <typename T>
  void PutBig(T value) {
    value = SwapBig(value);
    std::memcpy(Extend(sizeof(T)), &value, sizeof(T));
  }
  void Pad(size_t size) {
    size_t zeros = Padded(size) - size;
    if (zeros > 0) std::memset(Extend(zeros), 0, zeros);
  }
  // Room for so many more bytes, to be filled at once.
  std::byte* Extend(size_t bytes) {
    if (capacity_ - size_ < bytes) Grow(bytes);
    return bytes_.get() + std::exchange(size_, size_ + bytes);
  }
  void Grow(size_t bytes);

  // Not a vector, since that looks after each element: this is on the way of every reply.
  std::unique_ptr<std::byte[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
  std::vector<Bulk> bulks_;
  size_t bulk_bytes_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> held_;
};

// bitmap4 of NFSv4 (RFC 8881 section 3.2): a set of small numbers. Attribute numbers go up to 95
// here; a longer bitmap is accepted and its further bits only noted, as unknown attributes are.
class Bitmap {
 public:
  static constexpr uint32_t kWords = 3;
  static constexpr uint32_t kWordsMax = 64;  // what a peer may send

  constexpr Bitmap() = default;
  constexpr Bitmap(std::initializer_list<uint32_t> bits) {
    for (uint32_t bit : bits) Set(bit);
  }
  constexpr bool Has(uint32_t bit) const {
    return bit < kWords * 32 && ((words[bit / 32] >> (bit % 32)) & 1) != 0;
  }
  constexpr void Set(uint32_t bit) { words[bit / 32] |= 1U << (bit % 32); }
  constexpr void Clear(uint32_t bit) { words[bit / 32] &= ~(1U << (bit % 32)); }
  constexpr bool empty() const { return (words[0] | words[1] | words[2]) == 0 && !beyond; }
  constexpr Bitmap operator&(const Bitmap& other) const {
    Bitmap both;
    for (uint32_t i = 0; i < kWords; ++i) both.words[i] = words[i] & other.words[i];
    return both;
  }
  // Is every bit of this one in `other`?
  constexpr bool In(const Bitmap& other) const {
    bool in = !beyond;
    for (uint32_t i = 0; i < kWords; ++i) in = in && (words[i] & ~other.words[i]) == 0;
    return in;
  }
  bool operator==(const Bitmap&) const = default;

  std::array<uint32_t, kWords> words{};
  bool beyond = false;  // a peer set a bit past kWords
};

bool Decode(Decoder& from, Bitmap& value);
void Encode(Encoder& to, const Bitmap& value);
void Print(std::string& out, const Bitmap& value);

// For printers: numbers, quoted text, and opaque data as its size and first bytes.
void PrintNumber(std::string& out, uint64_t value);
void PrintNumber(std::string& out, int64_t value);
void PrintText(std::string& out, std::string_view value);
void PrintOpaque(std::string& out, Opaque value);

}  // namespace tarn::xdr
