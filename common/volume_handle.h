// The ids in a CSI volume handle, "[efs:]fs-…[:path][:fsap-…]", for who has to know no more of it;
// csi/volume_id.h has the whole.
#pragma once

#include <string>

namespace tarn {

// Empty: the handle names none.
std::string FileSystemIdOfHandle(const std::string& handle);
std::string AccessPointIdOfHandle(const std::string& handle);

}  // namespace tarn
