#include "server/xdr/codec.h"

#include <algorithm>

namespace tarn::xdr {

void Encoder::PutOpaque(Opaque value) {
  Put(static_cast<uint32_t>(value.size()));
  if (value.size() >= kBulkBytesMin) {
    bulks_.push_back({size_, value});
    bulk_bytes_ += value.size();
  } else {
    PutRaw(value);
  }
  Pad(value.size());
}

Encoder& Encoder::operator=(Encoder&& other) noexcept {
  bytes_ = std::move(other.bytes_);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  bulks_ = std::exchange(other.bulks_, {});
  bulk_bytes_ = std::exchange(other.bulk_bytes_, 0);
  held_ = std::exchange(other.held_, {});
  return *this;
}

void Encoder::Grow(size_t bytes) {
  constexpr size_t kFirst = 256;
  size_t capacity = std::max({kFirst, 2 * capacity_, size_ + bytes});
  auto grown = std::make_unique_for_overwrite<std::byte[]>(capacity);
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  bytes_ = std::move(grown);
  capacity_ = capacity;
}

void Encoder::Truncate(const Mark& mark) {
  size_ = mark.bytes;
  bulks_.resize(mark.bulks);
  bulk_bytes_ = mark.bulk_bytes;
}

void Encoder::PatchU32(const Mark& at, uint32_t value) {
  value = SwapBig(value);
  std::memcpy(bytes_.get() + at.bytes, &value, sizeof(value));
}

void Encoder::Clear() {
  Truncate({0, 0, 0});
  held_.clear();
}

void Encoder::Gather(std::vector<iovec>& out) const {
  size_t done = 0;
  auto add = [&out](const std::byte* data, size_t size) {
    if (size > 0) out.push_back({const_cast<std::byte*>(data), size});
  };
  for (const Bulk& bulk : bulks_) {
    add(bytes_.get() + done, bulk.before - done);
    add(bulk.data.data(), bulk.data.size());
    done = bulk.before;
  }
  add(bytes_.get() + done, size_ - done);
}

void Encoder::AppendTo(std::vector<std::byte>& out, const Mark& from) const {
  size_t done = from.bytes;
  auto add = [&out](const std::byte* data, size_t size) {
    out.insert(out.end(), data, data + size);
  };
  for (size_t i = from.bulks; i < bulks_.size(); ++i) {
    add(bytes_.get() + done, bulks_[i].before - done);
    add(bulks_[i].data.data(), bulks_[i].data.size());
    done = bulks_[i].before;
  }
  add(bytes_.get() + done, size_ - done);
}

std::vector<std::byte> Encoder::Flatten(const Mark& from) const {
  std::vector<std::byte> flat;
  flat.reserve(size() - from.bytes - from.bulk_bytes);
  AppendTo(flat, from);
  return flat;
}

bool Decode(Decoder& from, Bitmap& value) {
  uint32_t count = 0;
  if (!from.GetCount(count, Bitmap::kWordsMax)) return false;
  value = {};
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    if (!from.Get(word)) return false;
    if (i < Bitmap::kWords) {
      value.words[i] = word;
    } else if (word != 0) {
      value.beyond = true;
    }
  }
  return true;
}

void Encode(Encoder& to, const Bitmap& value) {
  uint32_t count = Bitmap::kWords;
  while (count > 0 && value.words[count - 1] == 0) --count;
  to.Put(count);
  for (uint32_t i = 0; i < count; ++i) to.Put(value.words[i]);
}

void Print(std::string& out, const Bitmap& value) {
  out += '{';
  for (uint32_t bit = 0; bit < Bitmap::kWords * 32; ++bit) {
    if (!value.Has(bit)) continue;
    if (out.back() != '{') out += ' ';
    out += std::to_string(bit);
  }
  out += '}';
}

void PrintNumber(std::string& out, uint64_t value) {
  out += std::to_string(value);
}
void PrintNumber(std::string& out, int64_t value) {
  out += std::to_string(value);
}

void PrintText(std::string& out, std::string_view value) {
  out += '"';
  for (char c : value) {
    bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    if (plain) {
      out += c;
    } else {
      static constexpr char kHex[] = "0123456789abcdef";
      out += "\\x";
      out += kHex[(static_cast<unsigned char>(c) >> 4) & 15];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  out += '"';
}

void PrintOpaque(std::string& out, Opaque value) {
  static constexpr char kHex[] = "0123456789abcdef";
  constexpr size_t kShown = 32;
  out += std::to_string(value.size()) + "B:";
  for (std::byte b : value.first(std::min(value.size(), kShown))) {
    out += kHex[std::to_integer<unsigned>(b >> 4)];
    out += kHex[std::to_integer<unsigned>(b & std::byte{15})];
  }
  if (value.size() > kShown) out += "..";
}

}  // namespace tarn::xdr
