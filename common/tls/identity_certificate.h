// The client certificate that carries who mounts what: the original EFS mount helper's scheme.
//
// A client makes a key and signs its certificate itself. The TLS handshake proves that the peer has
// the key; what the extensions say is a claim, verified by others: the token by whoever issued it,
// the SigV4 signature over the key's hash by the secret key. Values are DER:
//
//   1.3.6.1.4.1.4843.7.1  access point id   UTF8String
//   1.3.6.1.4.1.4843.7.2  SigV4             SEQUENCE { accessKeyId UTF8String,
//                                             signature OCTET STRING, date UTCTime,
//                                             sessionToken [0] EXPLICIT UTF8String OPTIONAL }
//   1.3.6.1.4.1.4843.7.3  file system id    UTF8String
//   1.3.6.1.4.1.4843.7.4  client info       SEQUENCE { source UTF8String, version UTF8String }
//   kTokenOid             ServiceAccount    UTF8String, a JSON Web Token (RFC 7519)
//
// kTokenOid is Tarn's own, under 2.25 (ITU-T X.667: a UUID is an arc of its own, here
// cbd482e1-cd9c-453f-8aa1-ae89187d14cd), so nobody else uses it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "common/result.h"

using X509 = struct x509_st;

namespace tarn::tls {

inline constexpr const char* kAccessPointOid = "1.3.6.1.4.1.4843.7.1";
inline constexpr const char* kSigV4Oid = "1.3.6.1.4.1.4843.7.2";
inline constexpr const char* kFileSystemOid = "1.3.6.1.4.1.4843.7.3";
inline constexpr const char* kClientInfoOid = "1.3.6.1.4.1.4843.7.4";
inline constexpr const char* kTokenOid = "2.25.270936704681565692540009643390145467597";

// Of one string, and of all five values together.
inline constexpr size_t kTokenBytesMax = 16 * 1024;
inline constexpr size_t kSessionTokenBytesMax = 8 * 1024;
inline constexpr size_t kNameBytesMax = 128;  // ids, access key, client info
inline constexpr size_t kSignatureBytesMax = 128;
inline constexpr size_t kExtensionBytesMax = 24 * 1024;
// A whole certificate: the above, a key, a name, a signature.
inline constexpr size_t kCertificateBytesMax = 32 * 1024;

inline constexpr std::chrono::minutes kValidBefore{15};
inline constexpr std::chrono::hours kValidAfter{3};

// The claim that the key's hash was signed with an access key (AWS Signature Version 4).
struct SigV4Claim {
  std::string access_key_id;
  std::string signature;  // bytes, as they were given
  std::chrono::sys_seconds date;
  std::optional<std::string> session_token;
  bool operator==(const SigV4Claim&) const = default;
};

struct ClientInfo {
  std::string source;
  std::string version;
  bool operator==(const ClientInfo&) const = default;
};

// What is absent was not in the certificate.
struct CertificateIdentity {
  std::optional<std::string> access_point_id = {};  // "fsap-..."
  std::optional<SigV4Claim> sigv4 = {};
  std::optional<std::string> file_system_id = {};  // "fs-..."
  std::optional<ClientInfo> client_info = {};
  std::optional<std::string> token = {};  // a secret: never to be logged

  bool empty() const {
    return !access_point_id && !sigv4 && !file_system_id && !client_info && !token;
  }
  bool operator==(const CertificateIdentity&) const = default;
};

// Digests of the certificate's public key. SHA-256 is of the whole SubjectPublicKeyInfo; SHA-1 is
// of the key's bits alone, the key identifier of RFC 5280 section 4.2.1.2 (1), which is what
// SigV4's PublicKeyHash holds in hex.
struct PublicKeyHashes {
  std::array<std::byte, 32> sha256{};
  std::array<std::byte, 20> sha1{};
  bool operator==(const PublicKeyHashes&) const = default;
};

struct ParsedCertificate {
  CertificateIdentity identity;
  PublicKeyHashes public_key;
  std::chrono::sys_seconds not_before, not_after;
};

// kInvalid: the certificate is no X.509v3 one, or an extension breaks its format or bounds, comes
// twice, or is critical and unknown. The message names the extension. Dates are not judged.
Result<ParsedCertificate> ReadIdentityCertificate(const X509& certificate);
Result<ParsedCertificate> ReadIdentityCertificate(std::span<const std::byte> der);

struct NewCertificate {
  CertificateIdentity identity;
  std::chrono::system_clock::time_point now;
  std::chrono::seconds valid_before = kValidBefore;
  std::chrono::seconds valid_after = kValidAfter;
  std::string common_name = "tarn client";
};

// A fresh private key, ECDSA on P-256, in PEM (PKCS #8, no passphrase).
Result<std::string> NewPrivateKey();
// A certificate of the key, signed by it, in PEM. kInvalid: what ReadIdentityCertificate would not
// take, or a key that is none.
Result<std::string> MakeIdentityCertificate(const std::string& key_pem,
                                            const NewCertificate& wanted);

}  // namespace tarn::tls
