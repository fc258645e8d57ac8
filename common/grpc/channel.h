// Client side of our gRPC: channels with one set of options, and one call with a deadline.
//
// Including this costs the gRPC headers: keep it to the few .cc files that speak gRPC.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/grpc/status.h"
#include "common/grpc/tls.h"
#include "common/result.h"

namespace tarn::rpcs {

inline constexpr std::chrono::seconds kKeepaliveInterval{30};  // while calls are open
inline constexpr std::chrono::seconds kKeepaliveTimeout{10};
// A server that was restarted is tried again soon, not after gRPC's two minutes.
inline constexpr std::chrono::milliseconds kReconnectMin{200};
inline constexpr std::chrono::seconds kReconnectMax{5};
inline constexpr std::chrono::seconds kConnectTimeout{10};

// `endpoint` as NormaliseEndpoint takes it. A Unix socket needs no TLS and `tls_dir` is ignored;
// host:port needs mutual TLS from `tls_dir` (kInvalid when it is empty or broken). Connects lazily.
Result<std::shared_ptr<grpc::Channel>> OpenChannel(std::string_view endpoint,
                                                   const std::string& tls_dir);
Result<std::shared_ptr<grpc::Channel>> OpenChannel(std::string_view endpoint, const TlsPems& pems);

// One unary call. An error that the transport made begins with `whom`.
//   TRY(Call(*stub, &pb::Control::Stub::DeleteAccessPoint, request, response, 5s, address));
template <typename Stub, typename Request, typename Response>
Result<void> Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response& response, std::chrono::milliseconds timeout,
                  std::string_view whom = {}) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FromStatus(status, whom);
  return Ok();
}

}  // namespace tarn::rpcs
