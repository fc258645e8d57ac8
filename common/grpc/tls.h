// Mutual TLS for gRPC from a directory with ca.crt, tls.crt and tls.key (the shape of a Kubernetes
// Secret). The files are read again when they change, within kTlsRefreshSeconds: new connections
// use the new ones.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"
#include "common/tls/tls_dir.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace tarn::rpcs {

inline constexpr unsigned kTlsRefreshSeconds = 1;

using tls::ReadTlsDir;
using tls::TlsPems;

// Peers whose certificate ca.crt did not sign are refused at the handshake.
Result<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const std::string& dir);
// The server's certificate must be signed by ca.crt and name the host (or address) of the endpoint.
Result<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const std::string& dir);
std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsPems& pems);

}  // namespace tarn::rpcs
