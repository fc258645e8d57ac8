// The file of token issuers (server/identity/token_issuers.h) as a ConfigMap of each file system,
// NAME-token-issuers, mounted into its server: the issuer and the public keys of this cluster's
// ServiceAccount tokens, as the API server shows them.
#pragma once

#include <mutex>

#include "operator/context.h"
#include "operator/status_draft.h"

namespace tarn::op {

// What the API server says of its tokens, read at most so often. Threads: any.
class ClusterIssuer {
 public:
  // Signing keys may change at any time; tokens of a new one are refused until servers know it.
  static constexpr int64_t kRefreshSeconds = 60;

  explicit ClusterIssuer(Context& context) : context_(context) {}

  // The file. Once read, what it said last while it cannot be read. kNotFound, kDenied: the API
  // server does not show it, or not to us; kInvalid: it makes no sense.
  Result<std::string> File();

 private:
  Result<std::string> Read();

  Context& context_;
  std::mutex mutex_;  // guards what follows
  std::string file_;
  int64_t read_at_ = 0;
};

// Makes the ConfigMap so. Where the API server does not show its keys, the server runs all the
// same, knows nobody's token, and the condition TokenIssuersRead of `status` says why.
Result<void> EnsureIssuersMap(Context& context, ClusterIssuer& issuer, const Json& file_system,
                              StatusDraft& status);
// Its name, in the file system's namespace, and its one entry.
std::string IssuersMapName(const Json& file_system);
inline const std::string kIssuersEntry = "issuers.json";

}  // namespace tarn::op
