// The reconciler of LifecyclePolicy: the file system's lifecycle configuration in the control API.
// One policy a file system: of several, the oldest counts and the others say so.
#pragma once

#include "operator/context.h"
#include "operator/status_draft.h"

namespace tarn::op {

class LifecyclePolicyReconciler {
 public:
  static constexpr std::chrono::minutes kRefresh{10};

  explicit LifecyclePolicyReconciler(Context& context) : context_(context) {}
  Result<Outcome> Reconcile(const ObjectName& name);

 private:
  Result<Outcome> Serve(const Json& policy, StatusDraft& status);
  Result<Outcome> Delete(const Json& policy);
  // The policies that mean `fs`, are allowed and stay; oldest first.
  std::vector<Json> PoliciesOf(const Json& fs);

  Context& context_;
};

}  // namespace tarn::op
