#include "common/grpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "common/grpc/endpoint.h"

namespace tarn::rpcs {
namespace {

int Milliseconds(std::chrono::milliseconds time) {
  return static_cast<int>(time.count());
}

std::shared_ptr<grpc::Channel> Open(const std::string& endpoint,
                                    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(kReconnectMin));
  // For all its name, how long one attempt to connect may take: a handshake of a busy machine does.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(kConnectTimeout));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(kReconnectMax));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  // Our servers are in the cluster; a proxy for the outside world is never on the way.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Two channels to one endpoint with different certificates must not share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(endpoint, credentials, arguments);
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> OpenChannel(std::string_view endpoint,
                                                   const std::string& tls_dir) {
  TRY(std::string target, NormaliseEndpoint(endpoint));
  if (!SocketPath(target).empty()) return Open(target, grpc::InsecureChannelCredentials());
  if (tls_dir.empty()) {
    return Error(Code::kInvalid, "endpoint '" + target +
                                     "' needs mutual TLS: give a directory with ca.crt, tls.crt "
                                     "and tls.key, or use a Unix socket");
  }
  TRY(auto credentials, ClientTls(tls_dir));
  return Open(target, credentials);
}

Result<std::shared_ptr<grpc::Channel>> OpenChannel(std::string_view endpoint, const TlsPems& pems) {
  TRY(std::string target, NormaliseEndpoint(endpoint));
  return Open(target, ClientTls(pems));
}

}  // namespace tarn::rpcs
