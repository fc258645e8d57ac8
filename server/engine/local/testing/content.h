// Content: the bytes of a simulated file, sparse, in pages that copies share until one is written.
//
// Threads: none of its own; copies that share pages may be used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::local {

inline constexpr uint64_t kPageBytes = 4096;

class Content {
 public:
  uint64_t size() const { return size_; }
  // Pages that take space.
  uint64_t pages() const { return pages_.size(); }
  size_t Read(uint64_t offset, std::span<std::byte> buffer) const;
  void Write(uint64_t offset, std::string_view bytes);
  // Bytes that lie behind the end until the size says otherwise, as a cut of power leaves them.
  void WriteBehind(uint64_t offset, std::string_view bytes);
  // Cuts, or grows by a hole.
  void Resize(uint64_t size);
  // The size only; what lies behind the end stays.
  void SetSize(uint64_t size) { size_ = size; }
  // What lies behind the end becomes nothing.
  void Trim();
  void Allocate(uint64_t offset, uint64_t bytes);
  void Punch(uint64_t offset, uint64_t bytes);
  // Pages of [offset, offset + bytes) that take no space yet.
  uint64_t HolesIn(uint64_t offset, uint64_t bytes) const;
  // The numbers of the pages that take space.
  std::vector<uint64_t> Pages() const;
  // False: there is no such byte.
  bool Flip(uint64_t offset, uint8_t mask);

 private:
  using Page = std::array<char, kPageBytes>;
  Page& PageFor(uint64_t index);

  uint64_t size_ = 0;
  std::map<uint64_t, std::shared_ptr<Page>> pages_;
};

}  // namespace tarn::local
