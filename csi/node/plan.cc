#include "csi/node/plan.h"

namespace tarn::csi {

Result<Plan> Planner::Make(const StageRequest& request) const {
  Plan plan;
  TRY(plan.id, ParseVolumeId(request.volume_id));
  TRY(plan.context, ParseVolumeContext(request.context));
  TRY(plan.options, ParseMountOptions(request.mount_flags, plan.id.access_point_id));
  plan.id.access_point_id = plan.options.access_point_id;
  TRY(plan.encrypted, IsEncrypted(plan.options, plan.context.encrypt_in_transit, encrypted_));
  return plan;
}

Result<std::string> Planner::Server(const Plan& plan) const {
  std::optional<RegistryEntry> entry;
  if (registry_ != nullptr) {
    auto found = registry_->ById(plan.id.file_system_id);
    if (found.ok()) entry = std::move(found).value();
  }
  return ChooseServer(plan.context, entry ? &*entry : nullptr, zone_);
}

}  // namespace tarn::csi
