// A key behind a key management plugin of Kubernetes: gRPC on a Unix socket, KMS v2
// (api/kms.proto).
//
// The key's version is what the plugin calls key_id. A plugin tells little of what is wrong: only
// the gRPC codes NOT_FOUND (kNotFound), PERMISSION_DENIED and FAILED_PRECONDITION
// (kDenied: disabled), INVALID_ARGUMENT and DATA_LOSS (kCorrupt) say something of the key; all
// else, and a Status whose healthz is not "ok", is kUnavailable. Answers that break the limits of
// the API are kUnavailable too.
#pragma once

#include <memory>
#include <string>

#include "server/keys/provider.h"

namespace tarn::keys {

// `endpoint`: unix:///path.sock. kInvalid: it is none.
Result<std::unique_ptr<KeyProvider>> OpenKmsProvider(const std::string& endpoint);

}  // namespace tarn::keys
