// Loop: one thread that waits for many sockets (epoll, edge-triggered), timers, and what other
// threads post to it.
//
// Threads: Post from any thread, all else on the loop's own. Watchers, timers and what is buried
// belong to their owner until then; a loop never owns a socket.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/result.h"

namespace tarn::tunnel {

// A file descriptor with an owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Close(); }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int Release();
  void Close();

 private:
  int fd_ = -1;
};

class Loop {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  class Watcher {
   public:
    virtual ~Watcher() = default;
    // `events` of epoll. It may bury its owner.
    virtual void OnEvents(uint32_t events) = 0;
  };

  // Runs its function once when it is due. Destroyed: never.
  class Timer {
   public:
    Timer(Loop& loop, std::function<void()> run) : loop_(loop), run_(std::move(run)) {}
    ~Timer() { Cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    void After(Duration wait);
    void Cancel();

   private:
    friend class Loop;
    Loop& loop_;
    std::function<void()> run_;
    std::multimap<Time, Timer*>::iterator at_;
    bool set_ = false;
  };

  // What is buried is destroyed when no event that was taken already can mean it.
  class Mortal {
   public:
    virtual ~Mortal() = default;
  };

  static Result<std::unique_ptr<Loop>> Start(unsigned number);
  // Ends the thread. What is posted and did not run is dropped: its owner sees to it before.
  ~Loop();

  void Post(std::function<void()> run);
  // The same, and waits for its end. Not on a loop's thread.
  void Run(const std::function<void()>& run);
  bool IsHere() const { return std::this_thread::get_id() == thread_.get_id(); }

  // Reading, writing and hang-up, edge-triggered. False: the system has no room.
  bool Add(int fd, Watcher& watcher);
  // Events of `fd` go to another one from now on; what is ready is told again.
  void Change(int fd, Watcher& watcher);
  void Remove(int fd);
  // Calls `watcher` without events after those that wait: its turn is over, its work is not.
  void Again(Watcher& watcher);
  // No turn is due to it any more; its descriptors are removed.
  void Forget(Watcher& watcher);
  void Bury(std::unique_ptr<Mortal> dead);
  // kPieceBytes, for whoever runs; empty of meaning after its turn.
  std::byte* scratch() { return scratch_.get(); }

 private:
  static constexpr int kEventsMax = 128;

  Loop() = default;
  void Work();
  void RunPosted();
  void RunTimers();
  void RunAgain();
  int WaitMilliseconds() const;

  Fd epoll_, wake_;
  std::unique_ptr<std::byte[]> scratch_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  std::multimap<Time, Timer*> timers_;
  std::vector<Watcher*> again_;
  std::vector<Watcher*> running_again_;
  std::vector<std::unique_ptr<Mortal>> dead_;
  std::vector<void*> event_pointers_;  // of the events in hand
  std::thread thread_;
};

}  // namespace tarn::tunnel
