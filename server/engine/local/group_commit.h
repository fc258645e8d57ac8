// GroupCommit: one sync for all who wait for one.
//
// A caller that finds nobody syncing leads: it syncs for itself and for all who came until then.
// Those who come meanwhile sleep; when the sync ends, the ones it served wake, and one of the
// others leads the next. Nobody is woken in vain: with sixteen callers and four of them in each
// sync, that would cost more of the processor than all else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "common/result.h"

namespace tarn::local {

class GroupCommit {
 public:
  // Batches in the order of their writing, from 1.
  using Ticket = uint64_t;
  // Makes all that is written durable; the last ticket that this holds for, at least that of each
  // caller who waited when it began. Called by one thread at a time, without locks.
  using SyncAll = std::function<Result<Ticket>()>;

  explicit GroupCommit(SyncAll sync) : sync_(std::move(sync)) {}

  // Waits until everything up to the ticket is durable. The error is that of this caller's own
  // sync: the others try again, each by itself.
  Result<void> Wait(Ticket ticket);

 private:
  struct Waiter;
  Result<void> Lead(std::unique_lock<std::mutex>& lock);
  void WaitForMore(std::unique_lock<std::mutex>& lock);

  const SyncAll sync_;
  std::mutex mutex_;  // over all below
  Ticket synced_ = 0;
  bool leading_ = false;
  std::vector<Waiter*> waiting_;  // in the order they came; the leader is not among them
  // How many wait for a sync, the leader too; how many did at the end of the last one; what one
  // takes.
  size_t callers_ = 0;
  size_t expected_ = 0;
  std::chrono::nanoseconds sync_time_{0};
  std::condition_variable arrived_;  // for the leader: all who were expected are there
};

}  // namespace tarn::local
