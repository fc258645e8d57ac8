// Certificates kept in Secrets of type kubernetes.io/tls: an authority (tls.crt, tls.key) and the
// leaves that it signs (with ca.crt: what a peer's certificate is verified by).
#pragma once

#include "operator/context.h"
#include "operator/pki.h"

namespace tarn::op {

// An entry of a Secret, decoded; empty: it is not there or no base64.
std::string SecretEntry(const Json& secret, const std::string& key);

// The Secret of an authority, in the operator's namespace; made when there is none.
Result<Json> EnsureAuthoritySecret(Context& context, const std::string& name,
                                   const std::string& common_name);

// The certificate in the Secret of that metadata, made or renewed by `ca` if need be. `ca_bundle`
// is its ca.crt. kAlreadyExists: the Secret is somebody else's.
Result<KeyPair> EnsureLeaf(Context& context, const KeyPair& ca, const std::string& ca_bundle,
                           const Json& metadata, const LeafRequest& request);

}  // namespace tarn::op
