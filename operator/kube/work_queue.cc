#include "operator/kube/work_queue.h"

#include <algorithm>

namespace tarn::kube {

void WorkQueue::AddLocked(const std::string& key) {
  if (dirty_.contains(key)) return;
  if (dirty_.size() >= kMaxKeys) {
    ++dropped_;
    return;
  }
  dirty_.insert(key);
  if (processing_.contains(key)) return;
  ready_.push_back(key);
  wake_.notify_one();
}

void WorkQueue::Add(const std::string& key) {
  std::lock_guard lock(mu_);
  AddLocked(key);
}

void WorkQueue::AddAfter(const std::string& key, Ms delay) {
  std::lock_guard lock(mu_);
  if (delay.count() <= 0) return AddLocked(key);
  auto due = Clock::now() + delay;
  auto it = later_.find(key);
  if (it == later_.end() && later_.size() >= kMaxKeys) {
    ++dropped_;
    return;
  }
  if (it == later_.end() || due < it->second) later_[key] = due;
  wake_.notify_one();
}

WorkQueue::Ms WorkQueue::AddRateLimited(const std::string& key) {
  Ms delay;
  {
    std::lock_guard lock(mu_);
    if (failures_.size() >= kMaxKeys && !failures_.contains(key))
      failures_.erase(failures_.begin());
    int n = failures_[key]++;
    delay = std::min(kLastRetry, kFirstRetry * (int64_t{1} << std::min(n, 20)));
    auto now = Clock::now();
    tokens_ =
        std::min(kRetryBurst, tokens_ + std::chrono::duration<double>(now - tokens_at_).count() *
                                            kRetriesPerSecond);
    tokens_at_ = now;
    tokens_ -= 1;
    if (tokens_ < 0)
      delay = std::max(delay, Ms(static_cast<int64_t>(-tokens_ / kRetriesPerSecond * 1000)));
  }
  AddAfter(key, delay);
  return delay;
}

void WorkQueue::Forget(const std::string& key) {
  std::lock_guard lock(mu_);
  failures_.erase(key);
}

void WorkQueue::PromoteDue(Clock::time_point now) {
  for (auto it = later_.begin(); it != later_.end();) {
    if (it->second <= now) {
      AddLocked(it->first);
      it = later_.erase(it);
    } else {
      ++it;
    }
  }
}

std::optional<std::string> WorkQueue::Take(std::stop_token stop) {
  std::unique_lock lock(mu_);
  for (;;) {
    if (stop.stop_requested()) return std::nullopt;
    PromoteDue(Clock::now());
    if (!ready_.empty()) break;
    auto due = Clock::now() + std::chrono::seconds(60);
    for (const auto& [key, at] : later_) due = std::min(due, at);
    size_t later = later_.size();
    wake_.wait_until(lock, stop, due,
                     [this, later] { return !ready_.empty() || later_.size() != later; });
  }
  std::string key = ready_.front();
  ready_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

void WorkQueue::Done(const std::string& key) {
  std::lock_guard lock(mu_);
  processing_.erase(key);
  if (dirty_.contains(key)) {
    ready_.push_back(key);
    wake_.notify_one();
  }
}

size_t WorkQueue::size() const {
  std::lock_guard lock(mu_);
  return dirty_.size() + later_.size();
}

uint64_t WorkQueue::dropped() const {
  std::lock_guard lock(mu_);
  return dropped_;
}

}  // namespace tarn::kube
