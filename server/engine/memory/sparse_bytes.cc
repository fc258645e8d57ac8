#include "server/engine/memory/sparse_bytes.h"

#include <algorithm>
#include <cstring>

namespace tarn::engine {

uint64_t SparseBytes::GrowthOf(uint64_t offset, size_t length) const {
  if (length == 0) return 0;
  uint64_t first = offset / kPageBytes;
  uint64_t last = (offset + length - 1) / kPageBytes;
  auto present = std::distance(pages_.lower_bound(first), pages_.upper_bound(last));
  return (last - first + 1 - static_cast<uint64_t>(present)) * kPageBytes;
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

}  // namespace tarn::engine
