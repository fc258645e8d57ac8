// What the operator must know of Cilium, where the cluster has it: its NetworkPolicies never take a
// node for an address range, and a node's pods' network has an address that the Node object does
// not tell, from which its mounts come on other nodes ("CiliumInternalIP" of CiliumNode).
//
// Asked of the API server at most so often, and kept meanwhile; only a clear answer changes what is
// known. Threads: any.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "operator/kube/client.h"

namespace tarn::op {

class Cilium {
 public:
  static constexpr int64_t kRecheckSeconds = 600;
  static constexpr int64_t kRetrySeconds = 10;  // after neither yes nor no
  static constexpr int64_t kNodesSeconds = 20;

  // `client` must outlive it. `now_seconds`: since 1970.
  Cilium(kube::Client& client, std::function<int64_t()> now_seconds)
      : client_(client), now_seconds_(std::move(now_seconds)) {}

  enum class Presence : uint8_t { kUnknown, kAbsent, kThere };
  Presence Find();
  // Addresses of its nodes; none where it is not. An error: it has never been told whether there
  // are any. Later failures change nothing.
  Result<std::vector<std::string>> NodeAddresses();

 private:
  Presence FindLocked();

  kube::Client& client_;
  const std::function<int64_t()> now_seconds_;
  std::mutex mutex_;  // guards what follows; held while the API server is asked
  Presence presence_ = Presence::kUnknown;
  int64_t find_at_ = 0, read_at_ = 0;  // when it is asked again
  bool read_ = false;
  std::vector<std::string> addresses_;
};

}  // namespace tarn::op
