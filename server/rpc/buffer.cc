#include "server/rpc/buffer.h"

namespace tarn::rpc {

Buffer BufferPool::Take(size_t bytes) {
  bool reused = bytes >= kReusedBytesMin && bytes <= full_bytes_;
  size_t capacity = reused ? full_bytes_ : bytes;
  if (outstanding_.fetch_add(capacity) + capacity > kOutstandingBytesMax) {
    outstanding_.fetch_sub(capacity);
    return {};
  }
  if (reused) {
    std::lock_guard lock(mutex_);
    if (!kept_.empty()) {
      Buffer buffer = std::move(kept_.back());
      kept_.pop_back();
      return buffer;
    }
  }
  Buffer buffer = NewBuffer(capacity);
  buffer.counted = true;
  return buffer;
}

void BufferPool::Give(Buffer buffer) {
  if (!buffer.data || !buffer.counted) return;
  outstanding_.fetch_sub(buffer.capacity);
  if (buffer.capacity != full_bytes_) return;
  std::lock_guard lock(mutex_);
  if (kept_.size() < kKeptMax) kept_.push_back(std::move(buffer));
}

}  // namespace tarn::rpc
