// TokenIssuers: whose ServiceAccount tokens count, and whether one of them is genuine.
//
// A token is a JSON Web Token (RFC 7519) that a cluster's API server signed for one pod (Kubernetes
// TokenRequest API, CSIDriver tokenRequests). It is verified by the cluster's public keys (a JSON
// Web Key Set, RFC 7517, which the API server shows at /openid/v1/jwks), without asking anybody: a
// control plane that is down stops no mount. What that cannot tell is that a pod was deleted before
// its token expired, so tokens should live for an hour or less.
//
// Accepted: RSA keys of 2048 bits and more with RS256 to PS512, elliptic curves with ES256 to
// ES512. No symmetric keys, and no token without a signature.
//
// The file, made by the operator from what the API server says of itself:
//   {"issuers": [{"issuer": "https://kubernetes.default.svc", "audience": "tarn.dev",
//                 "jwks": {"keys": [...]}}]}
//
// Two clusters may both have a namespace "a" with a ServiceAccount "web", and neither is the other.
// The first issuer is this cluster's own; each further one says in "cluster" whose it is: a name,
// which then is part of all its accounts' names, or "" for one more of this cluster's (an API
// server that changes its issuer has two for a while).
//
// Threads: any; immutable. Errors never hold a part of a token.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "server/identity/service_account.h"

namespace tarn::identity {

inline constexpr size_t kTokenBytesMax = 16 << 10;
inline constexpr size_t kIssuersFileBytesMax = 1 << 20;
inline constexpr size_t kIssuersMax = 64;
inline constexpr size_t kKeysPerIssuerMax = 64;
// Clocks of two machines may differ by so much.
inline constexpr std::chrono::seconds kClockSkew{30};

class TokenIssuers {
 public:
  static constexpr std::string_view kWhat = "the file of token issuers";

  // kInvalid names the field at fault. Keys of a kind that is not accepted are left out; an issuer
  // without any other is kInvalid.
  static Result<std::shared_ptr<const TokenIssuers>> Parse(std::string_view file);
  ~TokenIssuers();

  // `now`: since 1970. kUnauthenticated says what is wrong with the token.
  Result<ServiceAccount> Verify(std::string_view token, std::chrono::seconds now) const;

 private:
  struct Issuer;
  TokenIssuers();
  static Result<Issuer> ParseIssuer(const std::string& entry, const std::string& where);

  std::map<std::string, std::unique_ptr<const Issuer>> issuers_;  // by name
};

}  // namespace tarn::identity
