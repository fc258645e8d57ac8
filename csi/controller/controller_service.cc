#include "csi/controller/controller_service.h"

#include "common/ids.h"
#include "common/log.h"
#include "csi/call.h"
#include "csi/capabilities.h"

namespace tarn::csi {

using Stub = control_pb::Control::Stub;

grpc::Status ControllerService::CreateVolume(grpc::ServerContext*,
                                             const pb::CreateVolumeRequest* request,
                                             pb::CreateVolumeResponse* response) {
  return Call("CreateVolume", *request, response, [&]() -> Result<pb::CreateVolumeResponse> {
    pb::CreateVolumeResponse answer;
    TRY(*answer.mutable_volume(), Create(*request));
    return answer;
  });
}

grpc::Status ControllerService::DeleteVolume(grpc::ServerContext*,
                                             const pb::DeleteVolumeRequest* request,
                                             pb::DeleteVolumeResponse* response) {
  return Call("DeleteVolume", *request, response, [&]() -> Result<pb::DeleteVolumeResponse> {
    TRY(Delete(request->volume_id()));
    return pb::DeleteVolumeResponse();
  });
}

grpc::Status ControllerService::ControllerExpandVolume(
    grpc::ServerContext*, const pb::ControllerExpandVolumeRequest* request,
    pb::ControllerExpandVolumeResponse* response) {
  auto body = [&]() -> Result<pb::ControllerExpandVolumeResponse> {
    TRY(int64_t bytes, Expand(*request));
    pb::ControllerExpandVolumeResponse answer;
    answer.set_capacity_bytes(bytes);
    // Clients see the new size at their next statfs.
    answer.set_node_expansion_required(false);
    return answer;
  };
  return Call("ControllerExpandVolume", *request, response, body);
}

grpc::Status ControllerService::ValidateVolumeCapabilities(
    grpc::ServerContext*, const pb::ValidateVolumeCapabilitiesRequest* request,
    pb::ValidateVolumeCapabilitiesResponse* response) {
  return Call("ValidateVolumeCapabilities", *request, response, [&] { return Validate(*request); });
}

grpc::Status ControllerService::ControllerGetCapabilities(
    grpc::ServerContext*, const pb::ControllerGetCapabilitiesRequest*,
    pb::ControllerGetCapabilitiesResponse* response) {
  using Rpc = pb::ControllerServiceCapability::RPC;
  for (auto type : {Rpc::CREATE_DELETE_VOLUME, Rpc::EXPAND_VOLUME, Rpc::SINGLE_NODE_MULTI_WRITER}) {
    response->add_capabilities()->mutable_rpc()->set_type(type);
  }
  return grpc::Status::OK;
}

Result<RegistryEntry> ControllerService::ServerOf(const VolumeId& id) {
  Result<RegistryEntry> entry = registry_.ById(id.file_system_id);
  if (entry.code() == Code::kNotFound) {
    return Error(Code::kWrongState, "file system '" + id.file_system_id +
                                        "' is not in the registry: is its FileSystem there and "
                                        "ready?");
  }
  if (entry.ok() && entry->control.empty()) {
    return Error(Code::kUnavailable, "the server of file system '" + id.file_system_id +
                                         "' has no control address yet");
  }
  return entry;
}

Result<ControllerService::AccessPoint> ControllerService::Describe(
    const RegistryEntry& entry, const std::string& access_point_id) {
  control_pb::DescribeAccessPointsRequest request;
  request.set_access_point_id(access_point_id);
  TRY(auto response,
      servers_.Call(entry.control, &Stub::DescribeAccessPoints, request, options_.call_timeout));
  if (response.access_points_size() != 1) {
    return Error(Code::kNotFound, "Access Point " + access_point_id + " does not exist.");
  }
  return response.access_points(0);
}

Result<void> ControllerService::DeleteAccessPoint(const RegistryEntry& entry,
                                                  const std::string& access_point_id,
                                                  bool with_data) {
  control_pb::DeleteAccessPointRequest request;
  request.set_access_point_id(access_point_id);
  request.set_delete_root_directory(with_data);
  auto gone =
      servers_.Call(entry.control, &Stub::DeleteAccessPoint, request, options_.call_timeout);
  if (gone.ok() || gone.code() == Code::kNotFound) return Ok();
  return std::move(gone).error();
}

Result<void> ControllerService::Delete(const std::string& volume_id) {
  if (volume_id.empty()) return Error(Code::kInvalid, "Volume ID not provided");
  Result<VolumeId> id = ParseVolumeId(volume_id);
  if (!id.ok() || id->access_point_id.empty()) return Ok();  // never one of CreateVolume's
  TRY(auto hold, locks_.Take(volume_id, kLockWait));
  TRY(RegistryEntry entry, ServerOf(*id));
  Result<AccessPoint> there = Describe(entry, id->access_point_id);
  if (there.code() == Code::kNotFound) return Ok();
  if (!there.ok()) return std::move(there).error();
  bool retain = there->root_directory().path() == "/";  // is not this volume's alone
  for (const auto& tag : there->tags()) {
    if (tag.key() == kOnDeleteTag && tag.value() == "retain") retain = true;
  }
  Result<void> gone = DeleteAccessPoint(entry, id->access_point_id, !retain);
  if (gone.code() == Code::kInUse && !retain) {
    // The directory is also another access point's, or lies in or around one's: the data stays for
    // that one. Whoever is deleted last takes it along.
    spdlog::warn("volume {}: its data stays: {}", volume_id, gone.error().message());
    gone = DeleteAccessPoint(entry, id->access_point_id, false);
  }
  return gone;
}

Result<ControllerService::AccessPoint> ControllerService::SetQuota(const RegistryEntry& entry,
                                                                   const AccessPoint& access_point,
                                                                   uint64_t bytes) {
  control_pb::UpdateAccessPointRequest request;
  request.set_access_point_id(access_point.access_point_id());
  request.set_quota_bytes(bytes);
  request.set_quota_files(access_point.quota_files());
  return servers_.Call(entry.control, &Stub::UpdateAccessPoint, request, options_.call_timeout);
}

Result<int64_t> ControllerService::Expand(const pb::ControllerExpandVolumeRequest& request) {
  if (request.volume_id().empty()) return Error(Code::kInvalid, "Volume ID not provided");
  const auto& range = request.capacity_range();
  int64_t wanted = range.required_bytes() != 0 ? range.required_bytes() : range.limit_bytes();
  if (!request.has_capacity_range() || wanted <= 0 || range.limit_bytes() < 0) {
    return Error(Code::kInvalid, "Capacity range not provided");
  }
  if (range.limit_bytes() > 0 && wanted > range.limit_bytes()) {
    return Error(Code::kRange, "capacity range: required_bytes is above limit_bytes");
  }
  auto id = ParseVolumeId(request.volume_id());
  if (!id.ok()) return Error(Code::kNotFound, "Volume not found, err: " + id.error().message());
  if (id->access_point_id.empty()) {
    return Error(Code::kInvalid, "volume '" + request.volume_id() +
                                     "' has no access point, so it has no size of its own");
  }
  TRY(auto hold, locks_.Take(request.volume_id(), kLockWait));
  TRY(RegistryEntry entry, ServerOf(*id));
  TRY(AccessPoint there, Describe(entry, id->access_point_id));
  auto current = static_cast<int64_t>(there.quota_bytes());
  // A volume does not shrink, and one without a quota is as large as the file system.
  if (current == 0) return wanted;
  if (current >= wanted) return current;
  TRY(AccessPoint grown, SetQuota(entry, there, static_cast<uint64_t>(wanted)));
  return static_cast<int64_t>(grown.quota_bytes());
}

Result<pb::ValidateVolumeCapabilitiesResponse> ControllerService::Validate(
    const pb::ValidateVolumeCapabilitiesRequest& request) {
  if (request.volume_id().empty()) return Error(Code::kInvalid, "Volume ID not provided");
  if (request.volume_capabilities().empty()) {
    return Error(Code::kInvalid, "Volume capabilities not provided");
  }
  auto id = ParseVolumeId(request.volume_id());
  if (!id.ok()) return Error(Code::kNotFound, "Volume not found, err: " + id.error().message());
  auto entry = registry_.ById(id->file_system_id);
  if (!entry.ok()) return std::move(entry).error();
  if (!id->access_point_id.empty()) TRY(Describe(*entry, id->access_point_id));
  pb::ValidateVolumeCapabilitiesResponse response;
  Result<void> fits = CheckCapabilities(request.volume_capabilities(), id->access_point_id);
  if (!fits.ok()) {
    response.set_message(fits.error().message());
    return response;
  }
  auto& confirmed = *response.mutable_confirmed();
  *confirmed.mutable_volume_context() = request.volume_context();
  *confirmed.mutable_volume_capabilities() = request.volume_capabilities();
  *confirmed.mutable_parameters() = request.parameters();
  return response;
}

}  // namespace tarn::csi
