// What Kubernetes knows of a pod, of one of its claims, and of the file server behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/tls/tls_dir.h"
#include "operator/kube/client.h"

namespace tarn::cli {

struct PodFacts {
  std::string name;             // "namespace/name"
  std::string service_account;  // "namespace/name"
  std::string node_ip;          // what a server sees of a mount; empty: no node yet
  bool mounts_claim = false;
  uint32_t uid = 0;  // of its first container; 0 also when the image decides
  uint32_t gid = 0;
  std::vector<uint32_t> gids;
};

struct ClaimFacts {
  std::string file_system_id;
  std::string access_point_id;  // empty: the file system itself
  bool encrypted = true;        // in transit
};

struct ServerFacts {
  std::string control;  // host:port
  tls::TlsPems pems;
};

// Each error names the object at fault and what to do. kNotFound: it is not there; kInvalid: it is
// not one of Tarn's; kUnavailable: not bound yet, or Kubernetes does not answer.
Result<PodFacts> FindPod(kube::Client& client, const kube::ObjectName& pod,
                         const std::string& claim);
Result<ClaimFacts> FindClaim(kube::Client& client, const kube::ObjectName& claim);
// By the operator's registry in `system_namespace` (docs/programs.md).
Result<ServerFacts> FindServer(kube::Client& client, const std::string& system_namespace,
                               const std::string& file_system_id);

}  // namespace tarn::cli
