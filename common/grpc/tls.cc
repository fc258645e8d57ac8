#include "common/grpc/tls.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

namespace tarn::rpcs {
namespace {

using Provider = grpc::experimental::FileWatcherCertificateProvider;

std::shared_ptr<Provider> Watch(const std::string& dir) {
  return std::make_shared<Provider>(dir + "/tls.key", dir + "/tls.crt", dir + "/ca.crt",
                                    kTlsRefreshSeconds);
}

}  // namespace

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
