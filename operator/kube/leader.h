// LeaderElection: one of several replicas works, by a Lease of coordination.k8s.io.
//
// Whether another's lease has run out is judged by how long its record has not changed on our own
// monotonic clock, never by the times in it: clocks of machines differ. Fencing: a leader that
// cannot renew within kRenewDeadline calls `on_lost`, which must end the process, before another
// can take the lease (kLeaseDuration).
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "operator/kube/client.h"

namespace tarn::kube {

class LeaderElection {
 public:
  struct Options {
    ObjectName lease;
    std::string identity;  // unique to this process
    std::chrono::milliseconds lease_duration{15000};
    std::chrono::milliseconds renew_deadline{10000};
    std::chrono::milliseconds retry_period{2000};
  };

  LeaderElection(Client& client, Options options) : client_(client), options_(std::move(options)) {}

  // Blocks until we lead (true) or `stop` (false).
  bool Acquire(std::stop_token stop);
  // Renews until `stop`, then gives the lease up; or calls `on_lost` and returns.
  void Hold(std::stop_token stop, const std::function<void(const std::string& why)>& on_lost);

 private:
  using Clock = std::chrono::steady_clock;
  // OK: the lease is ours as of now. kInUse: another holds it.
  Result<void> TryOnce();
  Result<void> Write(Json lease, bool ours);
  void Release();
  bool Pause(std::stop_token stop, std::chrono::milliseconds time);

  Client& client_;
  Options options_;
  std::string seen_;  // the record as last seen
  Clock::time_point seen_at_{};
};

}  // namespace tarn::kube
