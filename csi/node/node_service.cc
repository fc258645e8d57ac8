#include "csi/node/node_service.h"

#include "csi/call.h"
#include "csi/capabilities.h"
#include "csi/volume_context.h"

namespace tarn::csi {
namespace {

constexpr size_t kPathBytesMax = 4095;  // PATH_MAX without its NUL

// Absolute, without a trailing slash, and without a way up: what is done there is done as root.
Result<std::string> CheckedPath(const char* field, const std::string& path) {
  if (path.empty()) return Error(Code::kInvalid, std::string(field) + " not provided");
  if (path[0] != '/' || path.size() > kPathBytesMax || path.find('\0') != std::string::npos ||
      (path + "/").find("/../") != std::string::npos) {
    return Error(Code::kInvalid, std::string(field) + " must be an absolute path without '..'");
  }
  std::string clean = CleanPath(path);
  if (clean == "/") return Error(Code::kInvalid, std::string(field) + " must not be /");
  return clean;
}

Result<void> CheckVolumeId(const std::string& volume_id) {
  if (volume_id.empty()) return Error(Code::kInvalid, "Volume ID not provided");
  return Ok();
}

// Staging and publishing share these fields.
template <typename Request>
Result<StageRequest> ToStageRequest(const Request& request) {
  TRY(CheckVolumeId(request.volume_id()));
  StageRequest stage;
  stage.volume_id = request.volume_id();
  TRY(stage.staging_path, CheckedPath("Staging target path", request.staging_target_path()));
  if (!request.has_volume_capability()) {
    return Error(Code::kInvalid, "Volume capability not provided");
  }
  TRY(VolumeId id, ParseVolumeId(request.volume_id()));
  TRY(CheckCapability(request.volume_capability(), id.access_point_id));
  const auto& flags = request.volume_capability().mount().mount_flags();
  stage.mount_flags.assign(flags.begin(), flags.end());
  stage.context.insert(request.volume_context().begin(), request.volume_context().end());
  return stage;
}

void Fill(const Usage& usage, pb::NodeGetVolumeStatsResponse& response) {
  auto add = [&](pb::VolumeUsage::Unit unit, uint64_t total, uint64_t used, uint64_t available) {
    auto clamp = [](uint64_t n) { return static_cast<int64_t>(std::min<uint64_t>(n, INT64_MAX)); };
    auto* line = response.add_usage();
    line->set_unit(unit);
    line->set_total(clamp(total));
    line->set_used(clamp(used));
    line->set_available(clamp(available));
  };
  add(pb::VolumeUsage::BYTES, usage.bytes_total, usage.bytes_used, usage.bytes_available);
  add(pb::VolumeUsage::INODES, usage.files_total, usage.files_used, usage.files_free);
}

}  // namespace

grpc::Status NodeService::NodeStageVolume(grpc::ServerContext*,
                                          const pb::NodeStageVolumeRequest* request,
                                          pb::NodeStageVolumeResponse* response) {
  return Call("NodeStageVolume", *request, response, [&]() -> Result<pb::NodeStageVolumeResponse> {
    TRY(StageRequest stage, ToStageRequest(*request));
    TRY(volumes_.Stage(stage));
    return pb::NodeStageVolumeResponse();
  });
}

grpc::Status NodeService::NodeUnstageVolume(grpc::ServerContext*,
                                            const pb::NodeUnstageVolumeRequest* request,
                                            pb::NodeUnstageVolumeResponse* response) {
  auto body = [&]() -> Result<pb::NodeUnstageVolumeResponse> {
    TRY(CheckVolumeId(request->volume_id()));
    TRY(std::string path, CheckedPath("Staging target path", request->staging_target_path()));
    TRY(volumes_.Unstage(request->volume_id(), path));
    return pb::NodeUnstageVolumeResponse();
  };
  return Call("NodeUnstageVolume", *request, response, body);
}

grpc::Status NodeService::NodePublishVolume(grpc::ServerContext*,
                                            const pb::NodePublishVolumeRequest* request,
                                            pb::NodePublishVolumeResponse* response) {
  auto body = [&]() -> Result<pb::NodePublishVolumeResponse> {
    PublishRequest publish;
    TRY(CheckVolumeId(request->volume_id()));
    TRY(publish.target_path, CheckedPath("Target path", request->target_path()));
    if (!request->has_volume_capability()) {
      return Error(Code::kInvalid, "Volume capability not provided");
    }
    if (request->staging_target_path().empty()) {
      return Error(Code::kWrongState, "Staging target path not provided: stage the volume first");
    }
    TRY(publish.stage, ToStageRequest(*request));
    TRY(publish.pod,
        ParsePod(publish.stage.context, {request->secrets().begin(), request->secrets().end()}));
    publish.read_only = request->readonly() || IsReadOnly(request->volume_capability());
    publish.single_writer = request->volume_capability().access_mode().mode() ==
                            pb::VolumeCapability::AccessMode::SINGLE_NODE_SINGLE_WRITER;
    TRY(volumes_.Publish(publish));
    return pb::NodePublishVolumeResponse();
  };
  return Call("NodePublishVolume", *request, response, body);
}

grpc::Status NodeService::NodeUnpublishVolume(grpc::ServerContext*,
                                              const pb::NodeUnpublishVolumeRequest* request,
                                              pb::NodeUnpublishVolumeResponse* response) {
  auto body = [&]() -> Result<pb::NodeUnpublishVolumeResponse> {
    TRY(CheckVolumeId(request->volume_id()));
    TRY(std::string path, CheckedPath("Target path", request->target_path()));
    TRY(volumes_.Unpublish(path));
    return pb::NodeUnpublishVolumeResponse();
  };
  return Call("NodeUnpublishVolume", *request, response, body);
}

grpc::Status NodeService::NodeGetVolumeStats(grpc::ServerContext*,
                                             const pb::NodeGetVolumeStatsRequest* request,
                                             pb::NodeGetVolumeStatsResponse* response) {
  auto body = [&]() -> Result<pb::NodeGetVolumeStatsResponse> {
    TRY(CheckVolumeId(request->volume_id()));
    if (request->volume_path().empty()) return Error(Code::kInvalid, "Volume path not provided");
    auto path = CheckedPath("Volume path", request->volume_path());
    // A path that cannot be is one where no volume is.
    if (!path.ok()) return Error(Code::kNotFound, path.error().message());
    TRY(Volumes::Health health, volumes_.Stats(*path));
    pb::NodeGetVolumeStatsResponse answer;
    if (health.usage) Fill(*health.usage, answer);
    answer.mutable_volume_condition()->set_abnormal(!health.problem.empty());
    answer.mutable_volume_condition()->set_message(health.problem.empty() ? "the volume works"
                                                                          : health.problem);
    return answer;
  };
  return Call("NodeGetVolumeStats", *request, response, body);
}

grpc::Status NodeService::NodeGetCapabilities(grpc::ServerContext*,
                                              const pb::NodeGetCapabilitiesRequest*,
                                              pb::NodeGetCapabilitiesResponse* response) {
  using Rpc = pb::NodeServiceCapability::RPC;
  for (auto type : {Rpc::STAGE_UNSTAGE_VOLUME, Rpc::GET_VOLUME_STATS, Rpc::VOLUME_CONDITION,
                    Rpc::SINGLE_NODE_MULTI_WRITER}) {
    response->add_capabilities()->mutable_rpc()->set_type(type);
  }
  return grpc::Status::OK;
}

grpc::Status NodeService::NodeGetInfo(grpc::ServerContext*, const pb::NodeGetInfoRequest*,
                                      pb::NodeGetInfoResponse* response) {
  response->set_node_id(options_.node_id);
  response->set_max_volumes_per_node(options_.max_volumes);
  if (!options_.zone.empty()) {
    (*response->mutable_accessible_topology()->mutable_segments())[kZoneKey] = options_.zone;
  }
  return grpc::Status::OK;
}

}  // namespace tarn::csi
