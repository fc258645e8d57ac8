// The reconciler of MountTarget: a Service per mount target in front of the file system's server,
// whose default listener serves it. The Service goes with the MountTarget by its owner reference,
// so no finalizer is needed.
#pragma once

#include "operator/context.h"
#include "operator/status_draft.h"

namespace tarn::op {

class MountTargetReconciler {
 public:
  // While something outside has yet to come, such as a load balancer's address.
  static constexpr std::chrono::seconds kWhileWaiting{10};

  explicit MountTargetReconciler(Context& context) : context_(context) {}
  Result<Outcome> Reconcile(const ObjectName& name);

 private:
  Result<Outcome> Serve(const Json& mt, StatusDraft& status);
  Result<void> CheckZone(const Json& mt, const Json& fs);
  Result<Json> EnsureService(const Json& mt, const Json& fs);

  Context& context_;
};

// The Service of a mount target; `cluster_ip` empty: the cluster chooses.
Json MountTargetService(const Json& mount_target, const Json& file_system,
                        const std::string& cluster_ip);

}  // namespace tarn::op
