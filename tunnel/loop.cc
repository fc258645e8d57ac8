#include "tunnel/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <string>

#include "tunnel/limits.h"

namespace tarn::tunnel {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

int Fd::Release() {
  return std::exchange(fd_, -1);
}

void Fd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Loop::Timer::After(Duration wait) {
  Cancel();
  at_ = loop_.timers_.emplace(std::chrono::steady_clock::now() + wait, this);
  set_ = true;
}

void Loop::Timer::Cancel() {
  if (set_) loop_.timers_.erase(at_);
  set_ = false;
}

Result<std::unique_ptr<Loop>> Loop::Start(unsigned number) {
  std::unique_ptr<Loop> loop(new Loop());
  loop->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  loop->wake_ = Fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (!loop->epoll_.open() || !loop->wake_.open() ||
      epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0) {
    return Error(Code::kUnavailable, std::string("cannot wait for sockets: ") + strerror(errno));
  }
  loop->scratch_ = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
  loop->thread_ = std::thread([raw = loop.get()] { raw->Work(); });
  pthread_setname_np(loop->thread_.native_handle(), ("loop " + std::to_string(number)).c_str());
  return loop;
}

Loop::~Loop() {
  stop_ = true;
  Post([] {});
  thread_.join();
  dead_.clear();
}

void Loop::Post(std::function<void()> run) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(run));
  }
  uint64_t one = 1;
  // It fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] ssize_t written = write(wake_.get(), &one, sizeof one);
}

void Loop::Run(const std::function<void()>& run) {
  std::promise<void> done;
  Post([&] {
    run();
    done.set_value();
  });
  done.get_future().wait();
}

bool Loop::Add(int fd, Watcher& watcher) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watcher}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::Change(int fd, Watcher& watcher) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watcher}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::Remove(int fd) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::Again(Watcher& watcher) {
  if (std::find(again_.begin(), again_.end(), &watcher) == again_.end()) again_.push_back(&watcher);
}

void Loop::Forget(Watcher& watcher) {
  std::erase(again_, &watcher);
  std::replace(running_again_.begin(), running_again_.end(), &watcher,
               static_cast<Watcher*>(nullptr));
  std::replace(event_pointers_.begin(), event_pointers_.end(), static_cast<void*>(&watcher),
               static_cast<void*>(nullptr));
}

void Loop::Bury(std::unique_ptr<Mortal> dead) {
  dead_.push_back(std::move(dead));
}

int Loop::WaitMilliseconds() const {
  if (!again_.empty()) return 0;
  if (timers_.empty()) return -1;
  auto left = timers_.begin()->first - std::chrono::steady_clock::now();
  auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(milliseconds, 0, 60'000));
}

void Loop::RunPosted() {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t got = read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> posted;
  {
    std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& run : posted) run();
}

void Loop::RunTimers() {
  auto now = std::chrono::steady_clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer* due = timers_.begin()->second;
    due->Cancel();
    auto run = due->run_;  // it may destroy the timer
    run();
  }
}

void Loop::RunAgain() {
  running_again_.swap(again_);
  for (size_t i = 0; i < running_again_.size(); ++i) {
    if (running_again_[i] != nullptr) running_again_[i]->OnEvents(0);
  }
  running_again_.clear();
}

void Loop::Work() {
  std::array<epoll_event, kEventsMax> events{};
  while (!stop_) {
    int count = epoll_wait(epoll_.get(), events.data(), kEventsMax, WaitMilliseconds());
    bool posted = false;
    event_pointers_.clear();
    for (int i = 0; i < count; ++i) {
      void* pointer = events[i].data.ptr;  // a copy: epoll_event is packed
      event_pointers_.push_back(pointer);
    }
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        posted = true;
      } else if (event_pointers_[i] != nullptr) {
        static_cast<Watcher*>(event_pointers_[i])->OnEvents(events[i].events);
      }
    }
    event_pointers_.clear();
    RunAgain();
    RunTimers();
    if (posted) RunPosted();
    std::vector<std::unique_ptr<Mortal>> dead;
    dead.swap(dead_);
  }
}

}  // namespace tarn::tunnel
