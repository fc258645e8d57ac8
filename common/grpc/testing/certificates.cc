#include "common/grpc/testing/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace tarn::rpcs {
namespace {

void Check(bool ok) {
  if (!ok) std::abort();
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Check(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* NewCertificate(EVP_PKEY* key, const std::string& name, int64_t seconds_left = 86400) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  uint32_t serial = 0;
  Check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), seconds_left);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate, key);
  return certificate;
}

// Written beside and renamed, so that a reader never sees half a file.
template <typename Write>
void Replace(const std::string& path, Write write) {
  FILE* file = fopen((path + ".new").c_str(), "w");
  Check(file != nullptr && write(file) == 1 && fclose(file) == 0);
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

struct TestAuthority::State {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = NewCertificate(key, "test authority");
};

TestAuthority::TestAuthority() : state_(std::make_unique<State>()) {
  X509* ca = state_->certificate;
  X509_set_issuer_name(ca, X509_get_subject_name(ca));
  AddExtension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(ca, ca, NID_subject_key_identifier, "hash");
  Check(X509_sign(ca, state_->key, EVP_sha256()) > 0);
}

TestAuthority::~TestAuthority() {
  X509_free(state_->certificate);
  EVP_PKEY_free(state_->key);
}

void TestAuthority::Issue(const std::string& dir, const TestLeaf& wanted) const {
  std::filesystem::create_directories(dir);
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* leaf = NewCertificate(key, wanted.common_name, wanted.seconds_left);
  X509* ca = state_->certificate;
  X509_set_issuer_name(leaf, X509_get_subject_name(ca));
  AddExtension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(leaf, ca, NID_ext_key_usage, wanted.client ? "serverAuth,clientAuth" : "serverAuth");
  std::string names =
      wanted.dns_name.empty() ? "DNS:localhost,IP:127.0.0.1,IP:::1" : "DNS:" + wanted.dns_name;
  for (const std::string& uri : wanted.uris) names += ",URI:" + uri;
  AddExtension(leaf, ca, NID_subject_alt_name, names);
  Check(X509_sign(leaf, state_->key, EVP_sha256()) > 0);
  Replace(dir + "/ca.crt", [&](FILE* file) { return PEM_write_X509(file, ca); });
  Replace(dir + "/tls.key", [&](FILE* file) {
    return PEM_write_PKCS8PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  Replace(dir + "/tls.crt", [&](FILE* file) { return PEM_write_X509(file, leaf); });
  X509_free(leaf);
  EVP_PKEY_free(key);
}

}  // namespace tarn::rpcs
