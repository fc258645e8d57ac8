#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

// Without it OpenSSL asks the terminal.
int NoPassphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

Owned<BIO> MemoryBio(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Owned<X509> ParseCertificate(const std::string& pem) {
  Owned<X509> certificate(PEM_read_bio_X509(MemoryBio(pem).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  return certificate;
}

Owned<EVP_PKEY> ParsePrivateKey(const std::string& pem) {
  Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(MemoryBio(pem).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  return key;
}

std::string TakeOpenSslError() {
  unsigned long code = ERR_get_error();  // NOLINT(google-runtime-int): OpenSSL's own type
  ERR_clear_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace tarn::tls
