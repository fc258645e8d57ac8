// SparseBytes: the contents of one file as pages; a page that was never written is a hole and costs
// nothing. A copy shares its pages until either side writes to them. Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

namespace tarn::engine {

class SparseBytes {
 public:
  static constexpr size_t kPageBytes = 4096;

  uint64_t size() const { return size_; }
  uint64_t allocated() const { return pages_.size() * kPageBytes; }

  // What allocated() would grow by if [offset, offset + length) were written.
  uint64_t GrowthOf(uint64_t offset, size_t length) const;
  // Bytes from `offset` into `buffer`, up to the end; returns their number.
  size_t Read(uint64_t offset, std::span<std::byte> buffer) const;
  void Write(uint64_t offset, std::span<const std::byte> data);
  // Cuts, or grows by a hole.
  void Resize(uint64_t size);

 private:
  using Page = std::array<std::byte, kPageBytes>;
  // The page for writing: made if it is a hole, copied if it is shared.
  Page& Writable(uint64_t index);

  uint64_t size_ = 0;
  std::map<uint64_t, std::shared_ptr<Page>> pages_;
};

}  // namespace tarn::engine
