// OpenSSL's objects with owners, and its errors as text.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace tarn::tls {

struct Free {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(ASN1_OBJECT* object) const { ASN1_OBJECT_free(object); }
  void operator()(ASN1_OCTET_STRING* string) const { ASN1_OCTET_STRING_free(string); }
};

template <typename T>
using Owned = std::unique_ptr<T, Free>;

// Reads from `text`, which must outlive it.
Owned<BIO> MemoryBio(const std::string& text);
// The first certificate of a PEM text, or null.
Owned<X509> ParseCertificate(const std::string& pem);
// A private key in PEM without a passphrase, or null.
Owned<EVP_PKEY> ParsePrivateKey(const std::string& pem);
// The oldest error that OpenSSL keeps for this thread, as text; none are kept afterwards.
std::string TakeOpenSslError();

}  // namespace tarn::tls
