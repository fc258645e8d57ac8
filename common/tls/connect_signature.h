// The signature in a client certificate (AWS Signature Version 4), as the original EFS mount helper
// makes it.
//
// The helper signs a request that nobody sends, "Connect", with the hash of the certificate's
// public key in it. So the signature is for that key alone: who copies it from a certificate has
// not the key that the TLS handshake proves.
//
// What is signed is of the form that AWS documents for presigned URLs, but for two things in which
// the helper differs: no empty line ends the headers, and the host is the file system's id alone.
#pragma once

#include <string>
#include <string_view>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"
#include "common/tls/identity_certificate.h"

namespace tarn::tls {

// What a signature is about.
struct ConnectSubject {
  const PublicKeyHashes& public_key;  // of the certificate
  std::string_view file_system_id;    // "fs-…"
  std::string_view region;            // of the file system
};

// The signature itself, 64 hex digits. Of `claim` the key's id, the date and the session token
// count.
Result<std::string> SignConnect(const SecretBytes& secret, const SigV4Claim& claim,
                                const ConnectSubject& about);

// What a certificate of that private key (PEM) will have. kInvalid: it is none.
Result<PublicKeyHashes> HashPrivateKey(const std::string& key_pem);

}  // namespace tarn::tls
