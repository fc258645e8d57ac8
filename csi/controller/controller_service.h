// CSI Controller: a volume is an access point with a quota.
//
// Everything is in the access point itself (root directory, owner, quota, and tags for what CSI
// must remember), so the controller keeps no state: it may be killed at any point, and a repeated
// call finds by its client token what was done.
#pragma once

#include <string>

#include "api/csi.grpc.pb.h"
#include "csi/controller/cluster_reader.h"
#include "csi/controller/control_servers.h"
#include "csi/controller/parameters.h"
#include "csi/volume_id.h"
#include "csi/volume_locks.h"

namespace tarn::csi {

// Tags of the access points that are volumes.
inline constexpr const char* kVolumeTag = "tarn.dev/csi-volume";
inline constexpr const char* kOnDeleteTag = "tarn.dev/on-delete";

struct ControllerOptions {
  std::string driver_name;
  bool topology = false;                    // whether volumes may be bound to zones
  std::map<std::string, std::string> tags;  // put on every access point
  std::chrono::milliseconds call_timeout{10'000};
};

class ControllerService final : public ::csi::v1::Controller::Service {
 public:
  static constexpr size_t kVolumeNameBytesMax = 128;
  static constexpr std::chrono::milliseconds kLockWait{1000};

  // `cluster` may be null (no Kubernetes). All outlive it.
  ControllerService(Registry& registry, ControlServers& servers, ClusterReader* cluster,
                    ControllerOptions options)
      : registry_(registry), servers_(servers), cluster_(cluster), options_(std::move(options)) {}

  grpc::Status CreateVolume(grpc::ServerContext*, const ::csi::v1::CreateVolumeRequest*,
                            ::csi::v1::CreateVolumeResponse*) override;
  grpc::Status DeleteVolume(grpc::ServerContext*, const ::csi::v1::DeleteVolumeRequest*,
                            ::csi::v1::DeleteVolumeResponse*) override;
  grpc::Status ControllerExpandVolume(grpc::ServerContext*,
                                      const ::csi::v1::ControllerExpandVolumeRequest*,
                                      ::csi::v1::ControllerExpandVolumeResponse*) override;
  grpc::Status ValidateVolumeCapabilities(grpc::ServerContext*,
                                          const ::csi::v1::ValidateVolumeCapabilitiesRequest*,
                                          ::csi::v1::ValidateVolumeCapabilitiesResponse*) override;
  grpc::Status ControllerGetCapabilities(grpc::ServerContext*,
                                         const ::csi::v1::ControllerGetCapabilitiesRequest*,
                                         ::csi::v1::ControllerGetCapabilitiesResponse*) override;

 private:
  using AccessPoint = control_pb::AccessPointDescription;

  // What CreateVolume was asked for, checked.
  struct Wanted {
    Parameters parameters;
    RegistryEntry file_system;
    uint64_t required_bytes = 0, limit_bytes = 0;
    std::string root_path;
    std::string token;
    uint64_t quota() const { return required_bytes != 0 ? required_bytes : limit_bytes; }
  };

  Result<::csi::v1::Volume> Create(const ::csi::v1::CreateVolumeRequest& request);
  Result<void> Delete(const std::string& volume_id);
  Result<int64_t> Expand(const ::csi::v1::ControllerExpandVolumeRequest& request);
  Result<::csi::v1::ValidateVolumeCapabilitiesResponse> Validate(
      const ::csi::v1::ValidateVolumeCapabilitiesRequest& request);

  Result<Wanted> Check(const ::csi::v1::CreateVolumeRequest& request);
  Result<RegistryEntry> ResolveFileSystem(const FileSystemChoice& choice);
  Result<std::string> ReadRef(const std::string& parameter, const std::string& text, bool secret);
  control_pb::CreateAccessPointRequest ToRequest(const Wanted& wanted, const std::string& name);
  // An access point of our token exists with other properties: take it if it serves what is wanted,
  // else kAlreadyExists.
  Result<AccessPoint> Adopt(const Wanted& wanted, const std::string& access_point_id);
  Result<::csi::v1::Volume> ToVolume(const Wanted& wanted, const AccessPoint& access_point);

  Result<RegistryEntry> ServerOf(const VolumeId& id);
  Result<AccessPoint> Describe(const RegistryEntry& entry, const std::string& access_point_id);
  Result<void> DeleteAccessPoint(const RegistryEntry& entry, const std::string& access_point_id,
                                 bool with_data);
  Result<AccessPoint> SetQuota(const RegistryEntry& entry, const AccessPoint& access_point,
                               uint64_t bytes);

  Registry& registry_;
  ControlServers& servers_;
  ClusterReader* const cluster_;
  const ControllerOptions options_;
  VolumeLocks locks_;
};

}  // namespace tarn::csi
