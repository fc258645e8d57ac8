#include "common/tls/identity_certificate.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "common/tls/identity_extensions.h"
#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

using std::chrono::sys_seconds;

Error Bad(const std::string& what) {
  ERR_clear_error();
  return Error(Code::kInvalid, "client certificate: " + what);
}

std::string_view ValueOf(X509_EXTENSION* extension) {
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<size_t>(ASN1_STRING_length(value))};
}

// The OID in dots; empty for one that is longer than any of ours.
std::string OidOf(X509_EXTENSION* extension) {
  std::array<char, 128> text{};
  int size = OBJ_obj2txt(text.data(), text.size(), X509_EXTENSION_get_object(extension), 1);
  return size <= 0 || static_cast<size_t>(size) >= text.size() ? "" : text.data();
}

Result<sys_seconds> ReadTime(const ASN1_TIME* time, const char* which) {
  tm broken{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &broken) != 1) {
    return Bad(std::string(which) + " is no time");
  }
  return sys_seconds(std::chrono::seconds(timegm(&broken)));
}

Result<CertificateIdentity> ReadExtensions(const X509& certificate) {
  CertificateIdentity identity;
  std::array<bool, 5> seen{};
  size_t sum = 0;
  for (int i = 0; i < X509_get_ext_count(&certificate); ++i) {
    X509_EXTENSION* extension = X509_get_ext(&certificate, i);
    std::string oid = OidOf(extension);
    const auto& ours = IdentityExtensions();
    size_t which = 0;
    while (which < ours.size() && oid != ours[which].oid) ++which;
    if (which == ours.size()) {
      bool known = X509_supported_extension(extension) == 1;
      if (known || X509_EXTENSION_get_critical(extension) == 0) continue;
      return Bad("extension " + oid + " is critical and unknown");
    }
    if (std::exchange(seen[which], true)) return Bad("extension " + oid + " comes twice");
    sum += ValueOf(extension).size();
    if (sum > kExtensionBytesMax) {
      return Bad("extension " + oid + " brings the identity's extensions above " +
                 std::to_string(kExtensionBytesMax) + " bytes");
    }
    TRY(ReadExtension(ours[which], ValueOf(extension), identity));
  }
  return identity;
}

Result<PublicKeyHashes> HashPublicKey(const X509& certificate) {
  PublicKeyHashes hashes;
  unsigned char* der = nullptr;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  if (size <= 0) return Bad("it has no public key");
  SHA256(der, static_cast<size_t>(size), reinterpret_cast<unsigned char*>(hashes.sha256.data()));
  OPENSSL_free(der);
  unsigned length = 0;
  if (X509_pubkey_digest(&certificate, EVP_sha1(),
                         reinterpret_cast<unsigned char*>(hashes.sha1.data()), &length) != 1) {
    return Bad("it has no public key");
  }
  return hashes;
}

// --- making one ---

Result<void> AddExtension(X509* certificate, const IdentityExtension& extension,
                          const std::string& der) {
  Owned<ASN1_OBJECT> oid(OBJ_txt2obj(extension.oid, 1));
  Owned<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
  bool ok = oid && value &&
            ASN1_OCTET_STRING_set(value.get(), reinterpret_cast<const unsigned char*>(der.data()),
                                  static_cast<int>(der.size())) == 1;
  if (!ok) return Bad(TakeOpenSslError());
  Owned<X509_EXTENSION> made(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 0, value.get()));
  if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return Bad(TakeOpenSslError());
  return Ok();
}

// For a server that asks what the certificate may be used for.
bool AddUsage(X509* certificate) {
  for (auto [nid, value] :
       {std::pair{NID_basic_constraints, "critical,CA:FALSE"},
        std::pair{NID_key_usage, "digitalSignature"}, std::pair{NID_ext_key_usage, "clientAuth"}}) {
    Owned<X509_EXTENSION> made(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
    if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return false;
  }
  return true;
}

bool SetTimes(X509* certificate, const NewCertificate& wanted) {
  auto now = std::chrono::floor<std::chrono::seconds>(wanted.now);
  return ASN1_TIME_set(X509_getm_notBefore(certificate),
                       (now - wanted.valid_before).time_since_epoch().count()) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate),
                       (now + wanted.valid_after).time_since_epoch().count()) != nullptr;
}

bool SetNames(X509* certificate, const std::string& common_name) {
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), serial.size()) != 1) return false;
  serial[0] = (serial[0] & 0x7f) | 0x40;  // positive and never zero (RFC 5280 section 4.1.2.2)
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  bool ok = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  X509_NAME* name = X509_get_subject_name(certificate);
  return ok &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

Result<std::string> PemOf(X509* certificate) {
  Owned<BIO> out(BIO_new(BIO_s_mem()));
  char* text = nullptr;
  if (!out || PEM_write_bio_X509(out.get(), certificate) != 1) return Bad(TakeOpenSslError());
  auto size = static_cast<size_t>(BIO_get_mem_data(out.get(), &text));
  return std::string(text, size);
}

}  // namespace

Result<ParsedCertificate> ReadIdentityCertificate(const X509& certificate) {
  ParsedCertificate parsed;
  if (X509_get_version(&certificate) != X509_VERSION_3) return Bad("it is not X.509 version 3");
  TRY(parsed.identity, ReadExtensions(certificate));
  TRY(parsed.public_key, HashPublicKey(certificate));
  TRY(parsed.not_before, ReadTime(X509_get0_notBefore(&certificate), "notBefore"));
  TRY(parsed.not_after, ReadTime(X509_get0_notAfter(&certificate), "notAfter"));
  return parsed;
}

Result<ParsedCertificate> ReadIdentityCertificate(std::span<const std::byte> der) {
  if (der.size() > kCertificateBytesMax) {
    return Bad(std::to_string(der.size()) + " bytes; " + std::to_string(kCertificateBytesMax) +
               " at most");
  }
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = at + der.size();
  // NOLINTNEXTLINE(google-runtime-int): OpenSSL's own type
  Owned<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate || at != end) return Bad("it is no DER certificate");
  return ReadIdentityCertificate(*certificate);
}

Result<std::string> NewPrivateKey() {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  Owned<BIO> out(BIO_new(BIO_s_mem()));
  if (!key || !out ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Error(Code::kInternal, "cannot make a private key: " + TakeOpenSslError());
  }
  char* text = nullptr;
  auto size = static_cast<size_t>(BIO_get_mem_data(out.get(), &text));
  return std::string(text, size);
}

Result<std::string> MakeIdentityCertificate(const std::string& key_pem,
                                            const NewCertificate& wanted) {
  Owned<EVP_PKEY> key = ParsePrivateKey(key_pem);
  if (!key) return Bad("the key is no PEM private key without passphrase");
  Owned<X509> certificate(X509_new());
  bool ok = certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
            SetNames(certificate.get(), wanted.common_name) &&
            SetTimes(certificate.get(), wanted) &&
            X509_set_pubkey(certificate.get(), key.get()) == 1 && AddUsage(certificate.get());
  if (!ok) return Bad(TakeOpenSslError());
  for (const IdentityExtension& extension : IdentityExtensions()) {
    std::string der = extension.write(wanted.identity);
    if (!der.empty()) TRY(AddExtension(certificate.get(), extension, der));
  }
  // Null is for keys that bring their own digest, as Ed25519 does.
  int digest_id = 0;
  bool own = EVP_PKEY_get_default_digest_nid(key.get(), &digest_id) == 2 && digest_id == NID_undef;
  if (X509_sign(certificate.get(), key.get(), own ? nullptr : EVP_sha256()) <= 0) {
    return Bad(TakeOpenSslError());
  }
  TRY(ReadIdentityCertificate(*certificate));
  return PemOf(certificate.get());
}

}  // namespace tarn::tls
