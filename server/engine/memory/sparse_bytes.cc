#include "server/engine/memory/sparse_bytes.h"

#include <algorithm>
#include <cstring>

namespace tarn::engine {

uint64_t SparseBytes::PagesIn(uint64_t offset, uint64_t length) const {
  if (length == 0) return 0;
  auto first = pages_.lower_bound(offset / kPageBytes);
  auto after = pages_.upper_bound((offset + length - 1) / kPageBytes);
  return static_cast<uint64_t>(std::distance(first, after));
}

uint64_t SparseBytes::GrowthOf(uint64_t offset, size_t length) const {
  if (length == 0) return 0;
  uint64_t pages = (offset + length - 1) / kPageBytes - offset / kPageBytes + 1;
  return (pages - PagesIn(offset, length)) * kPageBytes;
}

size_t SparseBytes::Read(uint64_t offset, std::span<std::byte> buffer) const {
  if (offset >= size_) return 0;
  size_t wanted = std::min<uint64_t>(buffer.size(), size_ - offset);
  for (size_t done = 0; done < wanted;) {
    uint64_t at = offset + done;
    size_t within = at % kPageBytes;
    size_t part = std::min(kPageBytes - within, wanted - done);
    auto page = pages_.find(at / kPageBytes);
    if (page == pages_.end()) {
      std::memset(buffer.data() + done, 0, part);
    } else {
      std::memcpy(buffer.data() + done, page->second->data() + within, part);
    }
    done += part;
  }
  return wanted;
}

SparseBytes::Page& SparseBytes::Writable(uint64_t index) {
  std::shared_ptr<Page>& page = pages_[index];
  if (!page) {
    page = std::make_shared<Page>();
    page->fill(std::byte{0});
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void SparseBytes::Write(uint64_t offset, std::span<const std::byte> data) {
  for (size_t done = 0; done < data.size();) {
    uint64_t at = offset + done;
    size_t within = at % kPageBytes;
    size_t part = std::min(kPageBytes - within, data.size() - done);
    std::memcpy(Writable(at / kPageBytes).data() + within, data.data() + done, part);
    done += part;
  }
  if (!data.empty()) size_ = std::max(size_, offset + data.size());
}

void SparseBytes::Resize(uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound((size + kPageBytes - 1) / kPageBytes), pages_.end());
    size_t tail = size % kPageBytes;
    if (tail != 0 && pages_.contains(size / kPageBytes)) {
      Page& page = Writable(size / kPageBytes);
      std::fill(page.begin() + static_cast<std::ptrdiff_t>(tail), page.end(), std::byte{0});
    }
  }
  size_ = size;
}

void SparseBytes::Reserve(uint64_t offset, uint64_t length) {
  static const auto zeros = std::make_shared<Page>();  // shared, so a write copies it
  for (uint64_t index = offset / kPageBytes; index * kPageBytes < offset + length; ++index) {
    pages_.try_emplace(index, zeros);
  }
}

void SparseBytes::Punch(uint64_t offset, uint64_t length) {
  uint64_t end = offset + length;
  for (auto at = pages_.lower_bound(offset / kPageBytes); at != pages_.end();) {
    uint64_t start = at->first * kPageBytes;
    if (start >= end) break;
    uint64_t from = std::max(start, offset) - start;
    uint64_t to = std::min(start + kPageBytes, end) - start;
    if (to - from == kPageBytes) {
      at = pages_.erase(at);
      continue;
    }
    Page& page = Writable(at->first);
    std::fill(page.begin() + static_cast<std::ptrdiff_t>(from),
              page.begin() + static_cast<std::ptrdiff_t>(to), std::byte{0});
    ++at;
  }
}

uint64_t SparseBytes::Next(uint64_t offset, bool hole) const {
  auto page = pages_.lower_bound(offset / kPageBytes);
  if (!hole) {
    if (page == pages_.end()) return size_;
    return std::min(size_, std::max(offset, page->first * kPageBytes));
  }
  while (page != pages_.end() && page->first * kPageBytes <= offset) {
    offset = (page->first + 1) * kPageBytes;
    ++page;
  }
  return std::min(size_, offset);
}

void SparseBytes::Share(const SparseBytes& source, uint64_t source_offset, uint64_t offset,
                        uint64_t length) {
  uint64_t pages = (length + kPageBytes - 1) / kPageBytes;
  uint64_t from = source_offset / kPageBytes;
  uint64_t to = offset / kPageBytes;
  pages_.erase(pages_.lower_bound(to), pages_.lower_bound(to + pages));
  // The ranges of one file do not overlap, so what is read here is not what is written.
  std::map<uint64_t, std::shared_ptr<Page>> shared;
  for (auto at = source.pages_.lower_bound(from);
       at != source.pages_.end() && at->first < from + pages; ++at) {
    shared.emplace(at->first - from + to, at->second);
  }
  pages_.merge(shared);
}

}  // namespace tarn::engine
