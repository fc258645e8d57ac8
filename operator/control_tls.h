// The control API's certificates as Secrets: one authority, a client certificate with a role
// (common/control_role.h) for each of our programs, one server certificate a file system. All are
// of type kubernetes.io/tls with ca.crt, tls.crt and tls.key (the authority: no ca.crt).
#pragma once

#include "operator/context.h"
#include "operator/pki.h"

namespace tarn::op {

// Makes what is missing and renews what is old: the authority and the certificates of clients. The
// operator's own also goes to context.control.
Result<KeyPair> EnsureAuthority(Context& context);
// The server reads it anew when it changes, so a renewal restarts nothing.
Result<void> EnsureServerSecret(Context& context, const Json& file_system,
                                const std::string& cluster_ip);
// Its name, in the file system's namespace.
std::string ServerSecretName(const Json& file_system);

}  // namespace tarn::op
