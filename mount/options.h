// Options: what comes after "-o", as the original EFS mount helper takes it, with its error texts.
// Its own options are taken out; what is left must be in the list of NFS options that the CSI
// driver checks against (csi/mount/mount_options.h), so nothing unknown gets near mount(2).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/mount_options.h"

namespace tarn::mount {

struct Options {
  bool tls = false;
  bool iam = false;
  std::string access_point_id;
  std::string jwt_path;         // of a file with a ServiceAccount token
  std::string profile;          // awsprofile
  std::string region;           // of the signature
  std::string zone;             // az, azid: whose mount target to prefer
  std::string mount_target_ip;  // an IP address
  std::string authority_file;   // cafile
  std::string config_file;      // config: Tarn's own
  std::optional<int> port;      // of the server, without TLS
  csi::MountOptions nfs;
};

// Each of `lists` is comma-separated; of options that are there twice the last one counts.
// `sloppy` (mount -s): unknown NFS options are left out. kInvalid: what the user is to read.
Result<Options> ParseOptions(const std::vector<std::string>& lists, bool sloppy = false);

}  // namespace tarn::mount
