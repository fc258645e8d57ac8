// What has to be known of a CSI volume by others than the CSI driver: the ids in its handle,
// "[efs:]fs-…[:path][:fsap-…]" (csi/volume_id.h has the whole), and attributes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tarn {

// Empty: the handle names none.
std::string FileSystemIdOfHandle(const std::string& handle);
std::string AccessPointIdOfHandle(const std::string& handle);

// Names and words of volume attributes are the same in capitals. `name` in small letters.
bool IsAttribute(std::string_view given, std::string_view name);
// true, t, 1, false, f, 0; else nothing.
std::optional<bool> ParseAttributeFlag(std::string_view value);

}  // namespace tarn
