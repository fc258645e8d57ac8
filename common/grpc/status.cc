#include "common/grpc/status.h"

#include <grpcpp/server_context.h>

#include "api/control.pb.h"

namespace tarn::rpcs {
namespace {

grpc::StatusCode NearestStatus(Code code) {
  switch (code) {
    case Code::kOk:
      return grpc::StatusCode::OK;
    case Code::kNoEntry:
    case Code::kNoData:
    case Code::kStale:
    case Code::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Code::kExists:
    case Code::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case Code::kNotDirectory:
    case Code::kIsDirectory:
    case Code::kNameTooLong:
    case Code::kFileTooBig:
    case Code::kBadHandle:
    case Code::kBadCookie:
    case Code::kCrossDevice:
    case Code::kProtocol:
    case Code::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Code::kNotEmpty:
    case Code::kReadOnly:
    case Code::kInUse:
    case Code::kWrongState:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case Code::kAccess:
    case Code::kPermission:
    case Code::kDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case Code::kNoSpace:
    case Code::kQuota:
    case Code::kTooManyLinks:
    case Code::kLimitExceeded:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Code::kRange:
      return grpc::StatusCode::OUT_OF_RANGE;
    case Code::kNotSupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case Code::kUnauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
    case Code::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case Code::kDeadlineExceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Code::kAborted:
      return grpc::StatusCode::ABORTED;
    case Code::kIo:
    case Code::kCorrupt:
      return grpc::StatusCode::DATA_LOSS;
    case Code::kInternal:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

Code NearestCode(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return Code::kOk;
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::ABORTED:
      return Code::kAborted;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Code::kInvalid;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Code::kDeadlineExceeded;
    case grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return Code::kAlreadyExists;
    case grpc::StatusCode::PERMISSION_DENIED:
      return Code::kDenied;
    case grpc::StatusCode::UNAUTHENTICATED:
      return Code::kUnauthenticated;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Code::kLimitExceeded;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Code::kWrongState;
    case grpc::StatusCode::OUT_OF_RANGE:
      return Code::kRange;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Code::kNotSupported;
    case grpc::StatusCode::UNAVAILABLE:
      return Code::kUnavailable;
    case grpc::StatusCode::DATA_LOSS:
      return Code::kIo;
    default:
      return Code::kInternal;
  }
}

}  // namespace

grpc::Status ToStatus(const Error& error) {
  grpc::StatusCode code = NearestStatus(error.code());
  std::string message = error.message().empty() ? std::string(CodeName(error.code()))
                                                : error.message().substr(0, kMessageBytesMax);
  control::v1::ErrorDetail detail;
  detail.set_error_code(std::string(error.api_name()));
  detail.set_resource_id(std::string(error.resource_id()));
  detail.set_code(std::string(CodeName(error.code())));
  control::v1::StatusDetails details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(detail);
  return {code, message, details.SerializeAsString()};
}

grpc::Status ToStatus(const Error& error, grpc::ServerContext& context) {
  if (!error.api_name().empty()) {
    context.AddTrailingMetadata(std::string(kErrorCodeKey), std::string(error.api_name()));
  }
  return ToStatus(error);
}

Error FromStatus(const grpc::Status& status, std::string_view whom) {
  control::v1::StatusDetails details;
  control::v1::ErrorDetail detail;
  bool ours = details.ParseFromString(status.error_details()) && details.details_size() > 0 &&
              details.details(0).UnpackTo(&detail) && !detail.code().empty();
  if (!ours) {
    std::string message = whom.empty() ? "" : std::string(whom) + ": ";
    return Error(NearestCode(status.error_code()), message + status.error_message());
  }
  Code code = CodeOfName(detail.code());
  if (detail.error_code().empty()) return Error(code, status.error_message());
  return {code, status.error_message(), detail.error_code(), detail.resource_id()};
}

}  // namespace tarn::rpcs
