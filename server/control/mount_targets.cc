// CreateMountTarget, DescribeMountTargets, DeleteMountTarget: a mount target with an address is a
// listener of its own; one without stands on the default listener.
#include <spdlog/spdlog.h>

#include <utility>

#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/validate.h"

namespace tarn::control {
namespace {

constexpr uint16_t kNfsPort = 2049;

std::string Address(const v1::MountTargetDescription& description) {
  return description.ip_address() + ":" + std::to_string(description.port());
}

Result<void> CheckCreate(const v1::CreateMountTargetRequest& request) {
  TRY(CheckId("file_system_id", kFileSystemPrefix, request.file_system_id()));
  if (!request.mount_target_id().empty()) {
    TRY(CheckId("mount_target_id", kMountTargetPrefix, request.mount_target_id()));
  }
  TRY(CheckZone(request.availability_zone_name()));
  TRY(ParseSecurityGroups(request.security_groups(), {}));
  if (request.port() > 65535) return BadRequest("port must be 65535 at most");
  if (request.ip_address().empty() && request.port() != 0) {
    return BadRequest("port needs ip_address: without one the default listener is used");
  }
  return Ok();
}

}  // namespace

void Manager::Serve(rpc::Server& server) {
  std::lock_guard lock(mutex_);
  server_ = &server;
  for (auto& [id, target] : mount_targets_) {
    if (target.record.tag() == kDefaultListenerTag) continue;
    if (auto started = StartListening(target); !started.ok()) {
      spdlog::error("mount target {}: {}; trying again", id, started.error().message());
    }
  }
}

void Manager::StopServing() {
  std::vector<uint64_t> listeners;
  rpc::Server* server = nullptr;
  {
    std::lock_guard lock(mutex_);
    server = std::exchange(server_, nullptr);
    for (auto& [id, target] : mount_targets_) {
      if (target.listening) listeners.push_back(target.listener);
      target.listening = false;
    }
  }
  // Never under the mutex: it waits for calls, and a call may wait for the mutex (first use).
  for (uint64_t listener : listeners) server->StopListening(listener);
}

// Without a server (before Serve) it is done by Serve.
Result<void> Manager::StartListening(MountTarget& target) {
  auto& description = *target.record.mutable_description();
  if (server_ == nullptr) return Ok();
  auto listener = server_->Listen(description.ip_address(),
                                  static_cast<uint16_t>(description.port()), target.record.tag());
  if (!listener.ok()) {
    description.set_life_cycle_state("error");
    description.set_status_message(listener.error().message());
    std::string message =
        "cannot listen on " + Address(description) + ": " + listener.error().message();
    if (listener.code() == Code::kInvalid) return BadRequest("ip_address: " + message);
    return IpAddressInUse(message, description.mount_target_id());
  }
  description.set_life_cycle_state("available");
  description.clear_status_message();
  target.listener = listener->id;
  target.listening = true;
  return Ok();
}

void Manager::BindDefault(FileSystem& fs) {
  default_file_system_ = fs.id();
  exports_.BindListener(kDefaultListenerTag, fs.record.number());
}

void Manager::UnbindDefaultIfUnused() {
  if (default_is_fixed_) return;
  for (const auto& [id, target] : mount_targets_) {
    if (target.record.tag() == kDefaultListenerTag) return;
  }
  default_file_system_.clear();
  exports_.UnbindListener(kDefaultListenerTag);
}

Result<v1::MountTargetDescription> Manager::Repeated(const MountTarget& target,
                                                     const v1::CreateMountTargetRequest& request) {
  const auto& d = target.record.description();
  uint32_t port = request.port() == 0 ? kNfsPort : request.port();
  bool same_address = request.ip_address().empty()
                          ? target.record.tag() == kDefaultListenerTag
                          : request.ip_address() == d.ip_address() && port == d.port();
  if (d.file_system_id() == request.file_system_id() && same_address &&
      d.availability_zone_name() == request.availability_zone_name()) {
    return Describe(target);
  }
  return MountTargetConflict("Mount target '" + d.mount_target_id() +
                                 "' exists with other properties: use another mount_target_id",
                             d.mount_target_id());
}

Result<v1::MountTargetDescription> Manager::CreateMountTarget(
    const v1::CreateMountTargetRequest& request) {
  TRY(CheckCreate(request));
  Lock lock(mutex_);
  auto known = mount_targets_.find(request.mount_target_id());
  if (known != mount_targets_.end()) return Repeated(known->second, request);
  TRY(FileSystemPtr fs, FindAvailable(request.file_system_id()));
  auto taken = fs->mount_targets.find(request.availability_zone_name());
  if (taken != fs->mount_targets.end()) {
    return MountTargetConflict("mount target already exists in this AZ", taken->second);
  }
  if (mount_targets_.size() >= kMountTargetsMax) {
    return Error(Code::kLimitExceeded,
                 "there are " + std::to_string(kMountTargetsMax) +
                     " mount targets, the most that are allowed",
                 "NetworkInterfaceLimitExceeded");
  }
  bool own_listener = !request.ip_address().empty();
  if (!own_listener && !default_file_system_.empty() && default_file_system_ != fs->id()) {
    return MountTargetConflict(
        "the default listener serves '" + default_file_system_ + "': give an ip_address",
        default_file_system_);
  }
  MountTarget target;
  auto& description = *target.record.mutable_description();
  description.set_mount_target_id(request.mount_target_id().empty() ? MintId(kMountTargetPrefix)
                                                                    : request.mount_target_id());
  description.set_file_system_id(fs->id());
  description.set_availability_zone_name(request.availability_zone_name());
  description.set_owner_id(options_.owner_id);
  description.set_life_cycle_state("available");
  *target.record.mutable_security_groups() = request.security_groups();
  if (own_listener) TRY(OpenListener(*fs, request, target));
  auto stored = store_.Put(target.record);
  if (!stored.ok()) {
    if (own_listener) exports_.UnbindListener(target.record.tag());
    rpc::Server* server = target.listening ? server_ : nullptr;
    lock.unlock();
    if (server != nullptr) server->StopListening(target.listener);
    return stored.error();
  }
  if (!own_listener) BindDefault(*fs);
  fs->mount_targets[description.availability_zone_name()] = description.mount_target_id();
  std::string id = description.mount_target_id();
  mount_targets_[id] = std::move(target);
  if (!own_listener) EnforceGroups(kDefaultListenerTag);  // OpenListener did so for its own
  auto described = Describe(mount_targets_[id]);
  rpc::Server* server = server_;
  lock.unlock();
  if (request.security_groups_size() > 0) EndForbidden(server);
  return described;
}

Result<void> Manager::OpenListener(FileSystem& fs, const v1::CreateMountTargetRequest& request,
                                   MountTarget& target) {
  auto& description = *target.record.mutable_description();
  description.set_ip_address(request.ip_address());
  description.set_port(request.port() == 0 ? kNfsPort : request.port());
  for (const auto& [id, other] : mount_targets_) {
    if (other.record.tag() != kDefaultListenerTag &&
        Address(other.record.description()) == Address(description)) {
      return IpAddressInUse("mount target '" + id + "' listens on " + Address(description), id);
    }
  }
  TRY(uint64_t tag, store_.NextNumber());
  target.record.set_tag(tag);
  // The way into the file system before the door.
  exports_.BindListener(tag, fs.record.number());
  if (request.security_groups_size() > 0) {
    TRY(auto allowed, ParseSecurityGroups(request.security_groups(), options_.own_node));
    exports_.SetAllowed(tag, std::make_shared<const std::vector<IpRange>>(std::move(allowed)));
  }
  auto started = StartListening(target);
  if (!started.ok()) exports_.UnbindListener(tag);
  return started;
}

v1::MountTargetDescription Manager::Describe(const MountTarget& target) {
  v1::MountTargetDescription description = target.record.description();
  if (target.record.tag() == kDefaultListenerTag) {
    description.set_ip_address(options_.default_address);
    description.set_port(options_.default_port);
  }
  return description;
}

Result<v1::DescribeMountTargetsResponse> Manager::DescribeMountTargets(
    const v1::DescribeMountTargetsRequest& request) {
  TRY(uint32_t page, PageSize("max_items", request.max_items()));
  if (request.file_system_id().empty() == request.mount_target_id().empty()) {
    return BadRequest("Must specify exactly one mutually exclusive parameter.");
  }
  std::lock_guard lock(mutex_);
  v1::DescribeMountTargetsResponse response;
  if (!request.mount_target_id().empty()) {
    TRY(CheckId("mount_target_id", kMountTargetPrefix, request.mount_target_id()));
    auto found = mount_targets_.find(request.mount_target_id());
    if (found == mount_targets_.end()) return MountTargetNotFound(request.mount_target_id());
    *response.add_mount_targets() = Describe(found->second);
    return response;
  }
  TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
  for (auto at = mount_targets_.upper_bound(request.marker()); at != mount_targets_.end(); ++at) {
    if (at->second.record.description().file_system_id() != fs->id()) continue;
    if (static_cast<uint32_t>(response.mount_targets_size()) == page) {
      response.set_next_marker(
          response.mount_targets(response.mount_targets_size() - 1).mount_target_id());
      break;
    }
    *response.add_mount_targets() = Describe(at->second);
  }
  return response;
}

Result<v1::Empty> Manager::DeleteMountTarget(const v1::DeleteMountTargetRequest& request) {
  TRY(CheckId("mount_target_id", kMountTargetPrefix, request.mount_target_id()));
  Lock lock(mutex_);
  auto found = mount_targets_.find(request.mount_target_id());
  if (found == mount_targets_.end()) return MountTargetNotFound(request.mount_target_id());
  MountTarget target = found->second;
  TRY(store_.Delete(target.record));
  const auto& description = target.record.description();
  mount_targets_.erase(found);
  auto fs = file_systems_.find(description.file_system_id());
  if (fs != file_systems_.end()) {
    fs->second->mount_targets.erase(description.availability_zone_name());
  }
  if (target.record.tag() == kDefaultListenerTag) {
    EnforceGroups(kDefaultListenerTag);
    UnbindDefaultIfUnused();
    rpc::Server* server = server_;
    lock.unlock();
    EndForbidden(server);
    return v1::Empty();
  }
  exports_.UnbindListener(target.record.tag());
  rpc::Server* server = target.listening ? server_ : nullptr;
  lock.unlock();
  if (server != nullptr) server->StopListening(target.listener);
  return v1::Empty();
}

}  // namespace tarn::control
