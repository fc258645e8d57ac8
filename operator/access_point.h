// The reconciler of AccessPoint: the control API's access point, made under the resource's uid as
// its client token, so that a repeated or restarted reconcile finds the one it made.
//
// Deleting is refused while a PersistentVolume names it (condition DeletionBlocked).
#pragma once

#include "operator/context.h"
#include "operator/status_draft.h"

namespace tarn::op {

class AccessPointReconciler {
 public:
  static constexpr std::chrono::seconds kRefresh{60};  // usage in status
  static constexpr std::chrono::seconds kWhileBlocked{30};

  explicit AccessPointReconciler(Context& context) : context_(context) {}
  Result<Outcome> Reconcile(const ObjectName& name);

 private:
  Result<Outcome> Serve(const Json& ap, StatusDraft& status);
  // The access point as it is on the server, made if it is not there.
  Result<AccessPointFacts> Ensure(const Json& ap, const std::string& address,
                                  const AccessPointSpec& spec);
  // Quota and tags; what the server refuses becomes the condition Configured=False.
  Result<void> Configure(const Json& ap, const std::string& address, const AccessPointFacts& facts,
                         const AccessPointSpec& spec, StatusDraft& status);
  Result<Outcome> Delete(const Json& ap);
  Result<void> DeleteOnServer(const Json& ap, const std::string& id);

  Context& context_;
};

// kInvalid names the field.
Result<AccessPointSpec> AccessPointSpecOf(const Json& access_point,
                                          const std::string& file_system_id);

}  // namespace tarn::op
