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
  // Holes in the range become pages of zeros. The size stays.
  void Reserve(uint64_t offset, uint64_t length);
  // The range reads as zeros; pages that lie whole in it are holes.
  void Punch(uint64_t offset, uint64_t length);
  // The first byte at or after `offset`, below size(), of a page or of a hole; size() for none.
  uint64_t Next(uint64_t offset, bool hole) const;
  // The range of whole pages becomes what `source` has `length` bytes on from `source_offset`;
  // pages are shared. The size stays.
  void Share(const SparseBytes& source, uint64_t source_offset, uint64_t offset, uint64_t length);
  // The pages there are in the range.
  uint64_t PagesIn(uint64_t offset, uint64_t length) const;

 private:
  using Page = std::array<std::byte, kPageBytes>;
  // The page for writing: made if it is a hole, copied if it is shared.
  Page& Writable(uint64_t index);

  uint64_t size_ = 0;
  std::map<uint64_t, std::shared_ptr<Page>> pages_;
};

}  // namespace tarn::engine
