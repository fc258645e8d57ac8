#include "common/grpc/tls.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <sstream>

namespace tarn::rpcs {
namespace {

using Provider = grpc::experimental::FileWatcherCertificateProvider;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Bio Memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate ParseCertificate(const std::string& pem) {
  return Certificate(PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return Error(Code::kInvalid, "cannot read " + path +
                                     ": a TLS directory holds ca.crt, tls.crt and tls.key in PEM");
  }
  return text.str();
}

std::shared_ptr<Provider> Watch(const std::string& dir) {
  return std::make_shared<Provider>(dir + "/tls.key", dir + "/tls.crt", dir + "/ca.crt",
                                    kTlsRefreshSeconds);
}

}  // namespace

Result<TlsPems> ReadTlsDir(const std::string& dir) {
  TlsPems pems;
  TRY(pems.ca, ReadFile(dir + "/ca.crt"));
  TRY(pems.certificate, ReadFile(dir + "/tls.crt"));
  TRY(pems.key, ReadFile(dir + "/tls.key"));
  if (!ParseCertificate(pems.ca)) {
    return Error(Code::kInvalid, dir + "/ca.crt is no PEM certificate");
  }
  Certificate certificate = ParseCertificate(pems.certificate);
  if (!certificate) return Error(Code::kInvalid, dir + "/tls.crt is no PEM certificate");
  Key key(PEM_read_bio_PrivateKey(Memory(pems.key).get(), nullptr, nullptr, nullptr));
  if (!key) return Error(Code::kInvalid, dir + "/tls.key is no PEM private key without passphrase");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Error(Code::kInvalid, dir + "/tls.key is not the key of tls.crt: renew both together");
  }
  return pems;
}

Result<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const std::string& dir) {
  TRY(ReadTlsDir(dir));
  grpc::experimental::TlsServerCredentialsOptions options(Watch(dir));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const std::string& dir) {
  TRY(ReadTlsDir(dir));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(dir));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsPems& pems) {
  return grpc::SslCredentials({pems.ca, pems.key, pems.certificate});
}

}  // namespace tarn::rpcs
