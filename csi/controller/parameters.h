// Parameters of a StorageClass, as the EFS CSI driver has them and some of our own, checked and
// made into the plan of an access point.
//
//   provisioningMode
//     efs-ap (required)
//   fileSystemId, fileSystemIdConfigRef, fileSystemIdSecretRef, fileSystemRef
//     exactly one; ConfigRef and SecretRef are "namespace/name/key", fileSystemRef is
//     "namespace/name" of a FileSystem
//   directoryPerms
//     mode of the root directory, octal (default 700)
//   uid, gid
//     of everyone who uses the volume (default: a free gid of the range, and the same uid)
//   gidRangeStart, gidRangeEnd
//     50000 and 60000
//   basePath, subPathPattern, ensureUniqueDirectory
//     where the directory is
//   reuseAccessPoint, reuseAccessPointScope
//     the same PVC name gets the same access point again; scope "namespace" (default), or "name"
//     (as EFS: whatever the namespace)
//   az, enforceZoneAffinity
//     the zone whose mount target is used, and whether only its nodes may mount
//   enableTagging
//     false: no tags but those the driver needs
//   onDelete
//     delete (default) or retain: what becomes of the data
//   encryptInTransit
//     only false for now
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/result.h"

namespace tarn::csi {

inline constexpr uint32_t kGidRangeStart = 50000;
inline constexpr uint32_t kGidRangeEnd = 60000;
inline constexpr uint32_t kGidsMax = 10'000;  // as many as a file system has access points
inline constexpr size_t kRootPathBytesMax = 100;
inline constexpr int kRootPathLevelsMax = 4;

struct FileSystemChoice {
  std::string id;          // these four: one is set
  std::string config_ref;  // namespace/name/key
  std::string secret_ref;
  std::string ref;  // namespace/name
};

struct Parameters {
  FileSystemChoice file_system;
  std::string permissions;
  std::optional<uint32_t> uid, gid;
  uint32_t gid_start = kGidRangeStart, gid_end = kGidRangeEnd;
  std::string base_path;
  std::optional<std::string> sub_path_pattern;
  bool unique_directory = true;
  bool reuse = false;
  bool reuse_in_any_namespace = false;
  std::string zone;
  bool enforce_zone = false;
  bool tagging = true;
  std::optional<bool> encrypt_in_transit;  // not given: the node decides
  bool retain = false;
  // From the provisioner's --extra-create-metadata; may be empty.
  std::string pvc_name, pvc_namespace, pv_name;
};

// kInvalid names the parameter; one that is not in the list above is an error.
Result<Parameters> ParseParameters(const std::map<std::string, std::string>& parameters);

// "namespace/name/key" of a config or secret reference. kInvalid names `parameter`.
struct KeyRef {
  std::string ns, name, key;
};
Result<KeyRef> ParseKeyRef(const std::string& parameter, const std::string& text);

// The access point's client token: what makes a repeated CreateVolume mean the same volume. At most
// 64 characters.
std::string ClientToken(const Parameters& parameters, const std::string& volume_name);

// The access point's root directory. kInvalid: an unknown token in the pattern, longer than 100
// characters, deeper than 4 levels, or characters that EFS does not allow.
Result<std::string> RootPath(const Parameters& parameters, const std::string& volume_name);

}  // namespace tarn::csi
