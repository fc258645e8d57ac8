// EFS resource ids: "fs-", "fsap-" and "fsmt-" with 17 lower-case hex digits. Ids of 8 to 40 digits
// are understood, as the EFS API does; only 17 are made (efs-utils accepts no other access point
// id).
#pragma once

#include <string>
#include <string_view>

namespace tarn {

inline constexpr std::string_view kFileSystemPrefix = "fs-";
inline constexpr std::string_view kAccessPointPrefix = "fsap-";
inline constexpr std::string_view kMountTargetPrefix = "fsmt-";

// A new id from the system's random source.
std::string MintId(std::string_view prefix);
bool IsId(std::string_view prefix, std::string_view text);

// What the NFS certificate of a file system's server is for, in every cluster and whatever address
// is used: "fs-….efs.tarn".
std::string NfsServerName(std::string_view file_system_id);

}  // namespace tarn
