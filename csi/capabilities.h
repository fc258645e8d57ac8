// Volume capabilities that Tarn has: file systems (no block devices), and every access mode.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "api/csi.pb.h"
#include "common/result.h"

namespace tarn::csi {

// kInvalid names the part at fault, mount options included.
Result<void> CheckCapability(const ::csi::v1::VolumeCapability& capability,
                             const std::string& access_point_id);
// The same of each; at least one must be there.
Result<void> CheckCapabilities(
    const google::protobuf::RepeatedPtrField<::csi::v1::VolumeCapability>& capabilities,
    const std::string& access_point_id);

// Whether the access mode lets nobody write.
bool IsReadOnly(const ::csi::v1::VolumeCapability& capability);

}  // namespace tarn::csi
