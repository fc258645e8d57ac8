// tarn::Error to grpc::Status and back, so that a client gets what the server had: the exact code,
// the message, EFS's name of the error and the resource in the way.
//
// On the wire: the nearest gRPC status code; the message; as status details an ErrorDetail of
// api/control.proto (in the shape of google.rpc.Status). A status of a server that is not ours
// becomes the nearest Code.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "common/result.h"

namespace grpc {
class ServerContext;
}

namespace tarn::rpcs {

// Longer messages are cut: status travels in HTTP/2 trailers, which peers limit to 8 KiB.
inline constexpr size_t kMessageBytesMax = 1024;
inline constexpr std::string_view kErrorCodeKey = "efs-error-code";  // trailing metadata

grpc::Status ToStatus(const Error& error);
// The same, and the EFS code as trailing metadata for clients that do not read details.
grpc::Status ToStatus(const Error& error, grpc::ServerContext& context);

template <typename T>
grpc::Status ToStatus(const Result<T>& result, grpc::ServerContext& context) {
  return result.ok() ? grpc::Status() : ToStatus(result.error(), context);
}

// Precondition: !status.ok(). `whom` begins the message of an error that the transport made, not
// the server ("10.0.0.1:9400: connection refused").
Error FromStatus(const grpc::Status& status, std::string_view whom = {});

}  // namespace tarn::rpcs
