// Ready-made policies, as the console of EFS offers them, and more for Kubernetes. They compose:
// one Allow for each kind of access given, one Deny for each thing enforced.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::policy {

struct Preset {
  // Denied, whatever else the policy allows, now or after more statements are added.
  bool enforce_tls = false;
  bool enforce_identity = false;  // no anonymous clients
  bool deny_root = false;         // root is squashed
  bool read_only = false;
  bool only_by_access_points = false;  // not the file system's own root

  // Who is allowed, each as a Principal writes it: "namespace/*", "namespace/name", or "*" for any
  // ServiceAccount. When all three are empty, everybody may do everything that is not denied.
  std::vector<std::string> full = {};     // mount, write and be root
  std::vector<std::string> writers = {};  // mount and write
  std::vector<std::string> readers = {};  // mount
};

// The policy's JSON, indented for people. An error names what does not go together.
Result<std::string> MakePolicy(const Preset& preset);

}  // namespace tarn::policy
