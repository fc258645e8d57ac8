// The control API's certificates as Secrets: one authority, one client certificate for our own
// programs, one server certificate a file system. All are of type kubernetes.io/tls with ca.crt,
// tls.crt and tls.key (the authority: no ca.crt).
#pragma once

#include "operator/context.h"
#include "operator/pki.h"

namespace tarn::op {

// Makes what is missing and renews what is old. The client's certificate also goes to
// context.control.
Result<KeyPair> EnsureAuthority(Context& context);
// Returns a short fingerprint of the certificate, for the pod template: a renewed one restarts the
// server.
Result<std::string> EnsureServerSecret(Context& context, const Json& file_system,
                                       const std::string& cluster_ip);

}  // namespace tarn::op
