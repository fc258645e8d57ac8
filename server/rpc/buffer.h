// Memory for records larger than a worker's scratch: bounded in all, reused where it pays.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace tarn::rpc {

struct Buffer {
  std::unique_ptr<std::byte[]> data;
  size_t capacity = 0;
  bool counted = false;  // in a BufferPool's limit
};

inline Buffer NewBuffer(size_t bytes) {
  return {std::make_unique_for_overwrite<std::byte[]>(bytes), bytes};
}

class BufferPool {
 public:
  // Below this the allocator is fast by itself; above it fresh pages cost more than the copy into
  // them, so that buffers of the full size are kept.
  static constexpr size_t kReusedBytesMin = 100 * 1024;
  static constexpr size_t kKeptMax = 32;  // buffers
  // Records being received or handled, all connections together.
  static constexpr size_t kOutstandingBytesMax = size_t{1} << 30;

  explicit BufferPool(size_t full_bytes) : full_bytes_(full_bytes) {}

  // At least `bytes`; no data when the limit on all of them is reached.
  Buffer Take(size_t bytes);
  void Give(Buffer buffer);

 private:
  const size_t full_bytes_;
  std::atomic<size_t> outstanding_{0};
  std::mutex mutex_;
  std::vector<Buffer> kept_;  // guarded by mutex_
};

}  // namespace tarn::rpc
