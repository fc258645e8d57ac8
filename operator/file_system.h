// The reconciler of FileSystem.
//
// Serving: Service, certificates, token issuers, NetworkPolicy, StatefulSet, budget, monitor; then,
// once the server answers, its settings, the registry and the status. Deleting: refused while
// anybody uses it (the condition DeletionBlocked says who) and meanwhile served on; then the
// registry entry, the server, its volume (deletionPolicy), the finalizer. Each step can be
// repeated, so a restart anywhere goes on.
#pragma once

#include <atomic>

#include "operator/context.h"
#include "operator/network.h"
#include "operator/network_watch.h"
#include "operator/status_draft.h"
#include "operator/token_issuers.h"

namespace tarn::op {

class FileSystemReconciler {
 public:
  static constexpr std::chrono::seconds kRefresh{30};      // sizes in status
  static constexpr std::chrono::seconds kWhileWaiting{2};  // the pod's state in status
  static constexpr std::chrono::seconds kWhileBlocked{30};
  static constexpr std::chrono::seconds kWhileOpen{10};  // its list is not in force
  // sizeInBytes.timestamp alone changes the status no more often than this.
  static constexpr int64_t kSizeAgeSeconds = 300;

  FileSystemReconciler(Context& context, NetworkWatch& network_watch)
      : context_(context), network_watch_(network_watch), issuer_(context) {}
  Result<Outcome> Reconcile(const ObjectName& name);

 private:
  // Everything that serves it; changes `status`.
  Result<Outcome> Serve(const Json& fs, StatusDraft& status);
  Result<void> CheckId(const Json& fs);
  Result<std::string> EnsureService(const Json& fs);
  Result<Json> EnsureServer(const Json& fs, StatusDraft& status);
  // The StatefulSet would silently take over a claim that an earlier FileSystem left behind.
  Result<void> CheckClaim(const Json& fs);
  Result<void> EnsureClaimSize(const Json& fs, StatusDraft& status);
  Result<void> EnsureMonitor(const Json& fs);
  Result<std::string> Configure(const Json& fs, const std::string& address, StatusDraft& status);
  // A server that has no policy yet is not found by anybody before it has that of spec.policy.
  Result<void> ApplyPolicy(const Json& fs, const std::string& address, StatusDraft& status);
  Result<void> EnsureNetworkPolicy(const Json& fs, const Network& network);
  // The condition NetworkResolved.
  void SayNetwork(const Json& fs, const Result<Network>& network, const Result<void>& closed,
                  StatusDraft& status);
  std::string WhyNotRunning(const Json& fs);

  Result<Outcome> Delete(const Json& fs);
  Result<Outcome> Blocked(const Json& fs, const std::vector<std::string>& users);
  Result<void> RemoveChildren(const Json& fs);

  Context& context_;
  NetworkWatch& network_watch_;
  ClusterIssuer issuer_;
  // When the ServiceMonitor API was last found missing, seconds; 0: never.
  std::atomic<int64_t> no_monitors_at_{0};
};

}  // namespace tarn::op
