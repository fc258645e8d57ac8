// Operator: the caches, the reconcilers and their queues, wired so that every change reaches the
// resources that it concerns.
//
// Watch may run in every replica; Lead only in the one that holds the lease.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "operator/access_point.h"
#include "operator/context.h"
#include "operator/denials.h"
#include "operator/file_system.h"
#include "operator/lifecycle_policy.h"
#include "operator/mount_target.h"

namespace tarn::op {

class Operator {
 public:
  // How informers retry; tests are quicker.
  struct Tuning {
    std::chrono::milliseconds first_retry{800};
    std::chrono::milliseconds last_retry{30000};
    std::chrono::milliseconds pods_refresh{NetworkWatch::kPodsRefresh};
  };

  // `client`, `control` must outlive it.
  Operator(Settings settings, kube::Client& client, ControlApi& control,
           std::function<int64_t()> now_seconds, Tuning tuning);
  ~Operator();

  // Starts the caches.
  void Watch();
  // All caches hold their first list.
  bool Synced();
  bool WaitSynced(std::chrono::milliseconds timeout);
  // Starts reconciling. After WaitSynced. Does nothing after Stop.
  void Lead();
  // Ends reconciling and watching, for good; blocks until what is running is done.
  void Stop();

  // In Prometheus' text format.
  std::string Metrics() const;

 private:
  void WireFileSystems();
  void WireChildren();
  void WireVolumes();
  void WireNodes();
  std::vector<kube::Informer*> Informers();
  void AddReferrers(const Json& file_system);
  void AddReferred(const Json& resource);
  void AddOwner(const Json& child);
  kube::Informer::Options Ours(const std::string& ns) const;

  std::mutex mu_;  // Lead against Stop
  bool stopped_ = false;
  Settings settings_;
  Tuning tuning_;
  kube::EventRecorder events_;
  kube::Informer file_systems_, mount_targets_, access_points_, lifecycle_policies_, volumes_,
      stateful_sets_, services_, budgets_, network_policies_, nodes_, registry_;
  kube::Recent recent_;
  Cilium cilium_;
  Context context_;
  std::map<std::string, Json> node_ranges_;  // of the thread of nodes_ alone
  NetworkWatch network_watch_;
  FileSystemReconciler file_system_;
  MountTargetReconciler mount_target_;
  AccessPointReconciler access_point_;
  LifecyclePolicyReconciler lifecycle_policy_;
  DenialReporter denials_;
  // Last, so that they end before what they use.
  kube::Controller file_system_queue_, mount_target_queue_, access_point_queue_,
      lifecycle_policy_queue_, denial_queue_, network_queue_;
};

}  // namespace tarn::op
