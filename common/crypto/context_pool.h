// ContextPool: OpenSSL contexts of one key, each used by one thread at a time and reused after,
// since making one costs more than a small message. For code of this folder.
//
// At most kSlots are kept; more threads at once make theirs and free them. Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <thread>

namespace tarn {

template <typename Context>
class ContextPool {
 public:
  static constexpr size_t kSlots = 32;

  ContextPool() = default;
  ContextPool(const ContextPool&) = delete;
  ContextPool& operator=(const ContextPool&) = delete;
  ~ContextPool() {
    for (auto& slot : slots_) delete slot.load();
  }

  // nullptr: none is left, so make one.
  std::unique_ptr<Context> Take() {
    return std::unique_ptr<Context>(SlotOfThread().exchange(nullptr, std::memory_order_acquire));
  }
  void Give(std::unique_ptr<Context> context) {
    Context* none = nullptr;
    if (SlotOfThread().compare_exchange_strong(none, context.get(), std::memory_order_release,
                                               std::memory_order_relaxed)) {
      (void)context.release();
    }
  }

 private:
  std::atomic<Context*>& SlotOfThread() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t number = threads.fetch_add(1, std::memory_order_relaxed);
    return slots_[number % kSlots];
  }

  std::array<std::atomic<Context*>, kSlots> slots_{};
};

}  // namespace tarn
