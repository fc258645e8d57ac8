#include "server/engine/local/group_commit.h"

#include <algorithm>
#include <semaphore>

namespace tarn::local {
namespace {

constexpr int kPatience = 8;  // the part of a sync that its leader waits for others
constexpr std::chrono::microseconds kPatienceMax{500};

}  // namespace

// One a thread, for as long as the thread: so whoever wakes it may take its time.
struct GroupCommit::Waiter {
  Ticket ticket = 0;
  bool leads = false;  // woken to lead, and not because it was served
  std::binary_semaphore woken{0};
};

Result<void> GroupCommit::Wait(Ticket ticket) {
  std::unique_lock lock(mutex_);
  if (synced_ >= ticket) return Ok();
  if (++callers_ >= expected_) arrived_.notify_one();
  if (leading_) {
    thread_local Waiter self;
    self.ticket = ticket;
    waiting_.push_back(&self);
    lock.unlock();
    self.woken.acquire();
    if (!self.leads) return Ok();
    lock.lock();
  }
  leading_ = true;
  return Lead(lock);
}

// Those whom the last sync served come back soon with their next change if they are busy, so this
// waits for them a moment: a small part of what a sync takes.
void GroupCommit::WaitForMore(std::unique_lock<std::mutex>& lock) {
  if (callers_ >= expected_) return;
  auto limit = std::min<std::chrono::nanoseconds>(sync_time_ / kPatience, kPatienceMax);
  arrived_.wait_for(lock, limit, [this] { return callers_ >= expected_; });
}

Result<void> GroupCommit::Lead(std::unique_lock<std::mutex>& lock) {
  WaitForMore(lock);
  lock.unlock();
  auto begin = std::chrono::steady_clock::now();
  auto synced = sync_();
  auto took = std::chrono::steady_clock::now() - begin;
  lock.lock();
  sync_time_ = (sync_time_ * 7 + took) / 8;
  if (synced) synced_ = std::max(synced_, *synced);
  expected_ = callers_;
  auto left = std::stable_partition(waiting_.begin(), waiting_.end(), [this](const Waiter* waiter) {
    return waiter->ticket <= synced_;
  });
  std::vector<Waiter*> woken(waiting_.begin(), left);
  for (Waiter* waiter : woken) waiter->leads = false;
  callers_ -= woken.size() + 1;
  leading_ = left != waiting_.end();
  if (leading_) {
    woken.insert(woken.begin(), *left);
    woken.front()->leads = true;
    ++left;
  }
  waiting_.erase(waiting_.begin(), left);
  lock.unlock();
  for (Waiter* waiter : woken) waiter->woken.release();
  if (!synced) return synced.error();
  return Ok();
}

}  // namespace tarn::local
