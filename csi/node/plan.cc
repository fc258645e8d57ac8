#include "csi/node/plan.h"

namespace tarn::csi {

Result<Plan> Planner::Make(const StageRequest& request) const {
  Plan plan;
  TRY(plan.id, ParseVolumeId(request.volume_id));
  TRY(plan.context, ParseVolumeContext(request.context));
  TRY(plan.options, ParseMountOptions(request.mount_flags, plan.id.access_point_id));
  plan.id.access_point_id = plan.options.access_point_id;
  plan.export_path = plan.id.ExportPath();
  const auto& asked = plan.context.encrypt_in_transit;
  if (asked == false && plan.options.tls) {
    return Error(Code::kInvalid, "Found tls in mountOptions but encryptInTransit is false");
  }
  plan.encrypted = asked.value_or(encrypted_ || plan.options.tls);
  if (plan.options.iam && !plan.encrypted) {
    return Error(Code::kInvalid, "The \"tls\" option is required when mounting via \"iam\"");
  }
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
