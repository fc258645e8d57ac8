// The certificates of NFS over TLS: one authority (Secret tarn-nfs-ca), whose certificate clients
// find in the ConfigMap tarn-nfs-ca, and one server certificate a file system (Secret
// NAME-nfs-tls), which its server reads anew when it changes.
//
// The authority is replaced without a moment in which a client trusts the wrong one: its successor
// is published for kOverlap before it signs anything, and its predecessor for kOverlap after it
// last did. That begins by itself when a third of its life is left, or when somebody sets the
// annotation tarn.dev/rotate on the Secret; where it stands follows from the certificates' dates,
// so a restart anywhere goes on.
#pragma once

#include "operator/context.h"
#include "operator/pki.h"

namespace tarn::op {

inline constexpr int64_t kNfsCaOverlapSeconds = int64_t{30} * 86400;
inline const std::string kRotateAnnotation = "tarn.dev/rotate";
// A certificate is for no more addresses than this; mount targets beyond are left out.
inline constexpr size_t kMaxNfsNames = 200;

struct NfsAuthority {
  KeyPair signer;
  std::string trusted;  // PEM: the certificates by which clients verify
};

// Makes what is missing, takes the next step of a rotation that is due, and publishes.
Result<NfsAuthority> EnsureNfsAuthority(Context& context);

// `cluster_ip`: of the file system's Service.
Result<void> EnsureNfsSecret(Context& context, const Json& file_system,
                             const std::string& cluster_ip);
// Its name, in the file system's namespace.
std::string NfsSecretName(const Json& file_system);

}  // namespace tarn::op
