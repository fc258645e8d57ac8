#include "csi/capabilities.h"

#include "csi/mount/mount_options.h"

namespace tarn::csi {

using ::csi::v1::VolumeCapability;
using AccessMode = VolumeCapability::AccessMode;

Result<void> CheckCapability(const VolumeCapability& capability,
                             const std::string& access_point_id) {
  if (capability.has_block()) {
    return Error(Code::kInvalid,
                 "volume capability: block volumes are not supported; use volumeMode: Filesystem");
  }
  if (!capability.has_mount()) {
    return Error(Code::kInvalid, "volume capability: the access type must be mount");
  }
  auto mode = capability.access_mode().mode();
  if (mode == AccessMode::UNKNOWN || !AccessMode::Mode_IsValid(mode)) {
    return Error(Code::kInvalid,
                 "volume capability: access mode " + std::to_string(mode) + " is not supported");
  }
  const std::string& type = capability.mount().fs_type();
  if (!type.empty() && type != "efs" && type != "nfs" && type != "nfs4" && type != "tarn") {
    return Error(Code::kInvalid, "volume capability: fsType '" + type +
                                     "' is not supported; leave it out, or use efs or nfs4");
  }
  const auto& flags = capability.mount().mount_flags();
  TRY(ParseMountOptions({flags.begin(), flags.end()}, access_point_id));
  return Ok();
}

Result<void> CheckCapabilities(
    const google::protobuf::RepeatedPtrField<VolumeCapability>& capabilities,
    const std::string& access_point_id) {
  if (capabilities.empty()) return Error(Code::kInvalid, "Volume capabilities not provided");
  for (const auto& capability : capabilities) TRY(CheckCapability(capability, access_point_id));
  return Ok();
}

bool IsReadOnly(const VolumeCapability& capability) {
  auto mode = capability.access_mode().mode();
  return mode == AccessMode::SINGLE_NODE_READER_ONLY || mode == AccessMode::MULTI_NODE_READER_ONLY;
}

}  // namespace tarn::csi
