#include "server/rpc/worker_pool.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <system_error>

#include "common/log.h"

namespace tarn::rpc {
namespace {

// Above this share of all cores the process is short of processor, not of threads.
constexpr double kProcessorShareMax = 0.8;

std::chrono::nanoseconds ProcessorUsed() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

}  // namespace

WorkerPool::WorkerPool(int epoll, uint32_t min, uint32_t max, Body body, Saturated saturated)
    : epoll_(epoll),
      min_(min),
      max_(max),
      body_(std::move(body)),
      on_saturated_(std::move(saturated)),
      grown_at_(std::chrono::steady_clock::now()),
      places_(max),
      place_is_taken_(max, false) {}

bool WorkerPool::Start() {
  stop_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (stop_event_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_event_, &event) != 0) return false;
  for (uint32_t i = 0; i < min_; ++i) {
    if (!AddThread()) break;
  }
  return threads_.load() > 0;
}

void WorkerPool::Stop() {
  if (stop_event_ < 0) return;
  stopping_.store(true);
  uint64_t one = 1;
  while (write(stop_event_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    threads.swap(places_);
  }
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  close(stop_event_);
  stop_event_ = -1;
}

bool WorkerPool::AddThread() {
  std::lock_guard lock(mutex_);
  if (stopping_.load() || places_.empty()) return false;
  size_t index = 0;
  while (index < max_ && place_is_taken_[index]) ++index;
  if (index == max_) return false;
  if (places_[index].joinable()) places_[index].join();  // it has left already
  try {
    places_[index] = std::thread([this, index] { Run(index); });
  } catch (const std::system_error& error) {
    spdlog::warn("cannot start a worker thread: {}; there are {}", error.what(), threads_.load());
    return false;
  }
  place_is_taken_[index] = true;
  threads_.fetch_add(1);
  return true;
}

bool WorkerPool::MayLeave() {
  std::lock_guard lock(mutex_);
  if (threads_.load() <= min_) return false;
  threads_.fetch_sub(1);
  return true;
}

void WorkerPool::Run(size_t index) {
  const int timeout = static_cast<int>(std::chrono::milliseconds(kIdle).count());
  while (true) {
    epoll_event event{};
    int got = epoll_wait(epoll_, &event, 1, timeout);
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (got < 0) continue;
    if (got == 0) {
      if (!MayLeave()) continue;
      std::lock_guard lock(mutex_);
      if (index < place_is_taken_.size()) place_is_taken_[index] = false;
      return;
    }
    if (event.data.ptr == nullptr) continue;
    if (busy_.fetch_add(1) + 1 >= threads_.load(std::memory_order_relaxed) &&
        !saturated_.load(std::memory_order_relaxed) && !saturated_.exchange(true)) {
      on_saturated_();
    }
    body_(index, event);
    busy_.fetch_sub(1);
  }
}

void WorkerPool::Grow() {
  auto now = std::chrono::steady_clock::now();
  std::chrono::nanoseconds used = ProcessorUsed();
  std::chrono::nanoseconds passed = now - grown_at_;
  std::chrono::nanoseconds spent = used - processor_used_;
  grown_at_ = now;
  processor_used_ = used;
  if (busy_.load() < threads_.load()) {
    saturated_.store(false);
    return;
  }
  if (threads_.load() >= max_) return;
  static const double cores = std::max(1U, std::thread::hardware_concurrency());
  if (static_cast<double>(spent.count()) >
      kProcessorShareMax * cores * static_cast<double>(passed.count())) {
    return;
  }
  pollfd waits{.fd = epoll_, .events = POLLIN, .revents = 0};
  if (poll(&waits, 1, 0) == 1) AddThread();
}

}  // namespace tarn::rpc
