// The pod that a volume is published for, from what kubelet adds to NodePublishVolume: its name
// (CSIDriver.spec.podInfoOnMount) and its ServiceAccount token (tokenRequests).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "common/result.h"

namespace tarn::csi {

// The audience of tokens that file servers accept: the CSIDriver asks for them, the operator names
// it in the file of issuers (server/identity/token_issuers.h).
inline constexpr const char* kTokenAudience = "tarn.dev";

struct PodToken {
  std::string text;  // a secret
  std::optional<std::chrono::sys_seconds> expires;
};

struct Pod {
  std::string ns, name, uid, service_account;  // empty: not told
  std::optional<PodToken> token;

  // "pod NS/NAME (ServiceAccount SA)", for messages.
  std::string Describe() const;
};

// Tokens are in the secrets (Kubernetes 1.35, serviceAccountTokenInSecrets) or in the context.
// kInvalid: tokens that are no such JSON; the message holds nothing of them.
Result<Pod> ParsePod(const std::map<std::string, std::string>& context,
                     const std::map<std::string, std::string>& secrets);

}  // namespace tarn::csi
