#include "server/nfs4/state/replay_cache.h"

namespace tarn::nfs4 {

bool ReplayCache::Begin(const Key& key, std::vector<std::byte>& reply) {
  std::unique_lock lock(mutex_);
  Trim();
  auto found = index_.find(key);
  while (found != index_.end() && found->second->running) {
    finished_.wait(lock);
    found = index_.find(key);
  }
  if (found != index_.end()) {
    reply = found->second->reply;
    return false;
  }
  entries_.push_back({.key = key, .running = true, .since = clock_.Monotonic(), .reply = {}});
  index_.emplace(key, std::prev(entries_.end()));
  return true;
}

void ReplayCache::Finish(const Key& key, std::vector<std::byte> reply) {
  std::lock_guard lock(mutex_);
  auto found = index_.find(key);
  if (found == index_.end()) return;
  if (reply.size() > kReplyBytesMax) {
    entries_.erase(found->second);
    index_.erase(found);
  } else {
    found->second->running = false;
    found->second->reply = std::move(reply);
  }
  finished_.notify_all();
}

void ReplayCache::Trim() {
  auto too_old = clock_.Monotonic() - kKept;
  for (auto at = entries_.begin(); at != entries_.end();) {
    bool drop = entries_.size() > kRepliesMax || at->since < too_old;
    if (!drop) return;
    if (at->running) {
      ++at;
      continue;
    }
    index_.erase(at->key);
    at = entries_.erase(at);
  }
}

}  // namespace tarn::nfs4
