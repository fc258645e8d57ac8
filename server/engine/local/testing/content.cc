#include "server/engine/local/testing/content.h"

#include <algorithm>
#include <cstring>

namespace tarn::local {

size_t Content::Read(uint64_t offset, std::span<std::byte> buffer) const {
  if (offset >= size_) return 0;
  size_t bytes = std::min<uint64_t>(buffer.size(), size_ - offset);
  for (size_t done = 0; done < bytes;) {
    uint64_t at = offset + done;
    size_t step = std::min<uint64_t>(bytes - done, kPageBytes - at % kPageBytes);
    auto page = pages_.find(at / kPageBytes);
    if (page == pages_.end()) {
      std::memset(buffer.data() + done, 0, step);
    } else {
      std::memcpy(buffer.data() + done, page->second->data() + at % kPageBytes, step);
    }
    done += step;
  }
  return bytes;
}

Content::Page& Content::PageFor(uint64_t index) {
  auto& page = pages_[index];
  if (!page) {
    page = std::make_shared<Page>();
    page->fill(0);
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void Content::WriteBehind(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    size_t step = std::min<uint64_t>(bytes.size(), kPageBytes - offset % kPageBytes);
    std::memcpy(PageFor(offset / kPageBytes).data() + offset % kPageBytes, bytes.data(), step);
    bytes.remove_prefix(step);
    offset += step;
  }
}

void Content::Write(uint64_t offset, std::string_view bytes) {
  WriteBehind(offset, bytes);
  size_ = std::max(size_, offset + bytes.size());
}

void Content::Trim() {
  pages_.erase(pages_.lower_bound((size_ + kPageBytes - 1) / kPageBytes), pages_.end());
  if (size_ % kPageBytes == 0) return;
  auto last = pages_.find(size_ / kPageBytes);
  if (last == pages_.end()) return;
  Page& page = PageFor(last->first);
  std::fill(page.begin() + static_cast<ptrdiff_t>(size_ % kPageBytes), page.end(), char{0});
}

void Content::Resize(uint64_t size) {
  bool cut = size < size_;
  size_ = size;
  if (cut) Trim();
}

void Content::Allocate(uint64_t offset, uint64_t bytes) {
  static const auto kZeros = std::make_shared<Page>();
  for (uint64_t at = offset / kPageBytes; at * kPageBytes < offset + bytes; ++at) {
    pages_.try_emplace(at, kZeros);
  }
  size_ = std::max(size_, offset + bytes);
}

void Content::Punch(uint64_t offset, uint64_t bytes) {
  uint64_t end = std::min(offset + bytes, (size_ + kPageBytes - 1) / kPageBytes * kPageBytes);
  while (offset < end) {
    uint64_t step = std::min(end - offset, kPageBytes - offset % kPageBytes);
    auto page = pages_.find(offset / kPageBytes);
    if (page != pages_.end() && step == kPageBytes) {
      pages_.erase(page);
    } else if (page != pages_.end()) {
      std::memset(PageFor(page->first).data() + offset % kPageBytes, 0, step);
    }
    offset += step;
  }
}

uint64_t Content::HolesIn(uint64_t offset, uint64_t bytes) const {
  if (bytes == 0) return 0;
  uint64_t first = offset / kPageBytes;
  uint64_t after = (offset + bytes + kPageBytes - 1) / kPageBytes;
  auto begin = pages_.lower_bound(first);
  return after - first - static_cast<uint64_t>(std::distance(begin, pages_.lower_bound(after)));
}

std::vector<uint64_t> Content::Pages() const {
  std::vector<uint64_t> numbers;
  numbers.reserve(pages_.size());
  for (auto& [number, page] : pages_) numbers.push_back(number);
  return numbers;
}

bool Content::Flip(uint64_t offset, uint8_t mask) {
  if (offset >= size_) return false;
  char& byte = PageFor(offset / kPageBytes)[offset % kPageBytes];
  byte = static_cast<char>(static_cast<uint8_t>(byte) ^ mask);
  return true;
}

}  // namespace tarn::local
