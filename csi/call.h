// Call: what every CSI method is wrapped in. It logs the request without its secrets and the
// outcome with its time, and turns our Result into a gRPC status.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <exception>
#include <string>

#include "api/csi.pb.h"
#include "common/grpc/status.h"
#include "common/result.h"

namespace tarn::csi {

namespace pb = ::csi::v1;

// One line of text of `message` for logs; every field marked csi_secret is replaced by
// "***stripped***", and so are the tokens of pods that kubelet puts into the volume context.
std::string Describe(const google::protobuf::Message& message);

// For the log, after a call.
void LogOutcome(const char* method, const google::protobuf::Message& request,
                const grpc::Status& status, std::chrono::steady_clock::time_point started);

// Runs `body`, a Result<Response>(), as the method. No exception leaves it.
template <typename Request, typename Response, typename Body>
grpc::Status Call(const char* method, const Request& request, Response* response, Body&& body) {
  auto started = std::chrono::steady_clock::now();
  grpc::Status status;
  try {
    Result<Response> result = body();
    if (result.ok()) {
      *response = std::move(result).value();
    } else {
      status = rpcs::ToStatus(result.error());
    }
  } catch (const std::exception& exception) {
    status = grpc::Status(grpc::StatusCode::INTERNAL, exception.what());
  }
  LogOutcome(method, request, status, started);
  return status;
}

}  // namespace tarn::csi
