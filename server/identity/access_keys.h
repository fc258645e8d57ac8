// AccessKeys: whose signatures in client certificates count (AWS Signature Version 4, as the
// original EFS mount helper makes them).
//
// The helper signs a request that nobody sends, "Connect", with the hash of the certificate's
// public key in it. So the signature is for that key alone: who copies it from a certificate has
// not the key that the TLS handshake proves. It counts for a day from its date, and 15 minutes
// before that, for clocks differ.
//
// What is signed is of the form that AWS documents for presigned URLs, but for two things in which
// the helper differs: no empty line ends the headers, and the host is the file system's id alone.
//
// The file:
//   {"accessKeys": [{"id": "AKIA…", "secret": "…",
//                    "principal": "arn:aws:iam::000000000000:user/backup"}]}
// and "sessionToken" for temporary keys, which are good only with it.
//
// Threads: any; immutable. Errors never hold a secret.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"
#include "common/tls/identity_certificate.h"

namespace tarn::identity {

inline constexpr size_t kAccessKeysMax = 4096;
inline constexpr std::chrono::hours kSignatureLife{24};
inline constexpr std::chrono::minutes kSignatureSkew{15};

class AccessKeys {
 public:
  static constexpr std::string_view kWhat = "the file of access keys";

  // kInvalid names the field at fault.
  static Result<std::shared_ptr<const AccessKeys>> Parse(std::string_view file);
  ~AccessKeys();

  // What a signature is about.
  struct Signed {
    const tls::PublicKeyHashes& public_key;  // of the certificate
    std::string_view file_system_id;         // "fs-…"
    std::string_view region;                 // of the file system
  };
  // The ARN of whoever has the key. kUnauthenticated says what is wrong.
  Result<std::string> Verify(const tls::SigV4Claim& claim, const Signed& about,
                             std::chrono::sys_seconds now) const;

 private:
  struct Keys;
  explicit AccessKeys(std::unique_ptr<const Keys> keys);

  const std::unique_ptr<const Keys> keys_;
};

// The signature itself, 64 hex digits.
Result<std::string> SignConnect(const SecretBytes& secret, const tls::SigV4Claim& claim,
                                const AccessKeys::Signed& about);

}  // namespace tarn::identity
