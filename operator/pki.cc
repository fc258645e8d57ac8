#include "operator/pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <set>

namespace tarn::op {
namespace {

template <auto Free>
struct Deleter {
  void operator()(auto* p) const { Free(p); }
};
using Pkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using String = std::unique_ptr<ASN1_OCTET_STRING, Deleter<ASN1_OCTET_STRING_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

// Clocks of machines differ a little.
constexpr long kBackdateSeconds = 300;

std::string Text(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string Text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}
Cert ReadCert(const std::string& pem) {
  return Cert(PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr));
}
Pkey ReadKey(const std::string& pem) {
  return Pkey(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, nullptr, nullptr));
}

bool AddExtension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  bool ok = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool SetBasics(X509* cert, EVP_PKEY* key, const std::string& common_name, int64_t now,
               int64_t life) {
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return false;
  serial[0] &= 0x7f;
  Number number(BN_bin2bn(serial, sizeof serial, nullptr));
  X509_NAME* name = X509_get_subject_name(cert);
  time_t at = now;
  return X509_set_version(cert, 2) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert)) != nullptr &&
         X509_time_adj(X509_getm_notBefore(cert), -kBackdateSeconds, &at) != nullptr &&
         X509_time_adj(X509_getm_notAfter(cert), static_cast<long>(life), &at) != nullptr &&
         X509_set_pubkey(cert, key) == 1 &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                    -1, 0) == 1;
}

Result<KeyPair> ToPem(X509* cert, EVP_PKEY* key) {
  Bio c(BIO_new(BIO_s_mem())), k(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(c.get(), cert) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(k.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Error(Code::kInternal, "cannot write a certificate as PEM");
  }
  return KeyPair{Text(c.get()), Text(k.get())};
}

std::string AltNames(const LeafRequest& request) {
  std::string out;
  for (const auto& name : request.dns_names) out += (out.empty() ? "DNS:" : ",DNS:") + name;
  for (const auto& ip : request.ip_addresses) out += (out.empty() ? "IP:" : ",IP:") + ip;
  for (const auto& uri : request.uris) out += (out.empty() ? "URI:" : ",URI:") + uri;
  return out;
}

// "dns NAME", "ip BYTES" and "uri URI".
std::set<std::string> NamesOf(const LeafRequest& request) {
  std::set<std::string> out;
  for (const auto& name : request.dns_names) out.insert("dns " + name);
  for (const auto& uri : request.uris) out.insert("uri " + uri);
  for (const auto& ip : request.ip_addresses) {
    String bytes(a2i_IPADDRESS(ip.c_str()));
    if (bytes) out.insert("ip " + Text(bytes.get()));
  }
  return out;
}

std::set<std::string> NamesIn(const X509* cert) {
  std::set<std::string> out;
  Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) out.insert("dns " + Text(name->d.dNSName));
    if (name->type == GEN_URI) out.insert("uri " + Text(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) out.insert("ip " + Text(name->d.iPAddress));
  }
  return out;
}

int64_t SecondsOf(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

}  // namespace

Result<KeyPair> MakeCa(const std::string& common_name, int64_t now) {
  Pkey key(EVP_EC_gen("P-256"));
  Cert cert(X509_new());
  if (!key || !cert || !SetBasics(cert.get(), key.get(), common_name, now, kCaLifeSeconds) ||
      X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get())) != 1 ||
      !AddExtension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(cert.get(), cert.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) {
    return Error(Code::kInternal, "cannot make the certificate authority");
  }
  return ToPem(cert.get(), key.get());
}

Result<KeyPair> MakeLeaf(const KeyPair& ca, const LeafRequest& request, int64_t now) {
  Cert issuer = ReadCert(ca.certificate);
  Pkey issuer_key = ReadKey(ca.key);
  if (!issuer || !issuer_key) {
    return Error(Code::kCorrupt, "the authority's tls.crt or tls.key is not PEM");
  }
  Pkey key(EVP_EC_gen("P-256"));
  Cert cert(X509_new());
  std::string names = AltNames(request);
  if (!key || !cert ||
      !SetBasics(cert.get(), key.get(), request.common_name, now, kLeafLifeSeconds) ||
      X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer.get())) != 1 ||
      !AddExtension(cert.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(cert.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(cert.get(), issuer.get(), NID_ext_key_usage,
                    request.server ? "serverAuth" : "clientAuth") ||
      !AddExtension(cert.get(), issuer.get(), NID_authority_key_identifier, "keyid") ||
      (!names.empty() && !AddExtension(cert.get(), issuer.get(), NID_subject_alt_name, names)) ||
      X509_sign(cert.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return Error(Code::kInternal, "cannot make the certificate of " + request.common_name);
  }
  return ToPem(cert.get(), key.get());
}

bool LeafIsGood(const std::string& ca_certificate, const std::string& certificate,
                const LeafRequest& request, int64_t now) {
  Cert ca = ReadCert(ca_certificate);
  Cert cert = ReadCert(certificate);
  if (!ca || !cert) return false;
  Pkey ca_key(X509_get_pubkey(ca.get()));
  if (X509_verify(cert.get(), ca_key.get()) != 1) return false;
  if (SecondsOf(X509_get0_notAfter(cert.get())) - now < kLeafLifeSeconds / 3) return false;
  return NamesIn(cert.get()) == NamesOf(request);
}

Result<CaLife> LifeOfCa(const KeyPair& pair) {
  Cert cert = ReadCert(pair.certificate);
  Pkey key = ReadKey(pair.key);
  if (!cert || !key) return Error(Code::kCorrupt, "tls.crt or tls.key is not PEM");
  if (X509_check_private_key(cert.get(), key.get()) != 1) {
    return Error(Code::kCorrupt, "tls.key is not the key of tls.crt");
  }
  return CaLife{SecondsOf(X509_get0_notBefore(cert.get())) + kBackdateSeconds,
                SecondsOf(X509_get0_notAfter(cert.get()))};
}

}  // namespace tarn::op
