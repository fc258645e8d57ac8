// ModifyMountTargetSecurityGroups, DescribeMountTargetSecurityGroups: who may connect to a mount
// target, by address. The gate (server/access) asks the table of exports at the beginning of each
// connection.
#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/validate.h"

namespace tarn::control {

void Manager::EnforceGroups(uint64_t tag) {
  std::vector<IpRange> all;
  bool listed = false, everybody = false;
  for (const auto& [id, target] : mount_targets_) {
    if (target.record.tag() != tag) continue;
    if (target.record.security_groups().empty()) {
      everybody = !options_.closed;
      continue;
    }
    listed = true;
    auto ranges = ParseSecurityGroups(target.record.security_groups(), options_.own_node);
    // What was stored by a newer version and is not understood allows nobody.
    if (!ranges.ok()) continue;
    all.insert(all.end(), ranges->begin(), ranges->end());
  }
  bool none = !listed || everybody;
  exports_.SetAllowed(
      tag, none ? nullptr : std::make_shared<const std::vector<IpRange>>(std::move(all)));
}

void Manager::EndForbidden(rpc::Server* server) {
  if (server == nullptr) return;
  server->Recheck([this](const rpc::Peer& peer) {
    return exports_.MayConnect(peer.listener, IpAddress::Parse(peer.address));
  });
}

Result<v1::Empty> Manager::ModifyMountTargetSecurityGroups(
    const v1::ModifyMountTargetSecurityGroupsRequest& request) {
  TRY(CheckId("mount_target_id", kMountTargetPrefix, request.mount_target_id()));
  TRY(ParseSecurityGroups(request.security_groups(), options_.own_node));
  Lock lock(mutex_);
  auto found = mount_targets_.find(request.mount_target_id());
  if (found == mount_targets_.end()) return MountTargetNotFound(request.mount_target_id());
  records::MountTarget record = found->second.record;
  *record.mutable_security_groups() = request.security_groups();
  TRY(store_.Put(record));
  found->second.record = std::move(record);
  EnforceGroups(found->second.record.tag());
  rpc::Server* server = server_;
  lock.unlock();
  EndForbidden(server);
  return v1::Empty();
}

Result<v1::DescribeMountTargetSecurityGroupsResponse> Manager::DescribeMountTargetSecurityGroups(
    const v1::DescribeMountTargetSecurityGroupsRequest& request) {
  TRY(CheckId("mount_target_id", kMountTargetPrefix, request.mount_target_id()));
  std::lock_guard lock(mutex_);
  auto found = mount_targets_.find(request.mount_target_id());
  if (found == mount_targets_.end()) return MountTargetNotFound(request.mount_target_id());
  v1::DescribeMountTargetSecurityGroupsResponse response;
  *response.mutable_security_groups() = found->second.record.security_groups();
  return response;
}

}  // namespace tarn::control
