// Plan: what a volume's handle, context and mount options say about how it is to be mounted.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/mount_options.h"
#include "csi/registry.h"
#include "csi/volume_context.h"
#include "csi/volume_id.h"

namespace tarn::csi {

// What staging and publishing tell of a volume.
struct StageRequest {
  std::string volume_id;
  std::string staging_path;
  std::map<std::string, std::string> context;
  std::vector<std::string> mount_flags;
};

struct Plan {
  VolumeId id;  // with the access point that a mount option named
  VolumeContext context;
  MountOptions options;
  bool encrypted = false;  // through the tunnel, for each pod by itself
};

// Thread-safe.
class Planner {
 public:
  // `registry` may be null, and must outlive it. `encrypted`: what volumes are that say nothing.
  Planner(Registry* registry, std::string zone, bool encrypted = false)
      : registry_(registry), zone_(std::move(zone)), encrypted_(encrypted) {}

  // kInvalid names the field.
  Result<Plan> Make(const StageRequest& request) const;
  // Where the file system is served now. kNotFound: nobody knows.
  Result<std::string> Server(const Plan& plan) const;

 private:
  Registry* const registry_;
  const std::string zone_;
  const bool encrypted_;
};

}  // namespace tarn::csi
