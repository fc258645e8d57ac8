// A CSI volume id (the volumeHandle of a PersistentVolume), as the EFS CSI driver writes them:
//
//   new  efs:fs-0123456789abcdef0[:/sub/path][:fsap-0123456789abcdef0]
//   old      fs-0123456789abcdef0[:/sub/path][:fsap-0123456789abcdef0]
//
// A middle field may be empty: "efs:fs-…::fsap-…" is what CreateVolume makes.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn::csi {

struct VolumeId {
  std::string file_system_id;
  std::string subpath;          // "" or cleaned and absolute, "/a/b"
  std::string access_point_id;  // may be empty

  // The new form.
  std::string ToString() const;
  // What a client mounts: "/fsap-…/a/b", "/a/b" or "/".
  std::string ExportPath() const;
};

// kInvalid with the EFS driver's texts.
Result<VolumeId> ParseVolumeId(std::string_view text);

// Lexically: repeated and trailing slashes, "." and ".." go; the result is absolute and never
// leaves "/".
std::string CleanPath(std::string_view path);

}  // namespace tarn::csi
