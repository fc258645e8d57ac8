#include "server/keys/kms_provider.h"

#include <grpcpp/client_context.h>

#include "api/kms.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/endpoint.h"
#include "common/ids.h"
#include "server/keys/told.h"

namespace tarn::keys {
namespace {

constexpr size_t kKmsCiphertextBytesMax = 1024;

// Only codes by which a plugin speaks of the key are definite.
Code CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Code::kDenied;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::DATA_LOSS:
      return Code::kCorrupt;
    default:
      return Code::kUnavailable;
  }
}

class KmsProvider : public KeyProvider {
 public:
  KmsProvider(std::shared_ptr<grpc::Channel> channel, std::string place)
      : place_(std::move(place)), stub_(v2::KeyManagementService::NewStub(std::move(channel))) {}

  Result<Wrapped> Wrap(const SecretBytes& secret, const Call& call) override {
    v2::EncryptRequest request;
    v2::EncryptResponse response;
    request.set_plaintext(std::string(secret.view()));
    request.set_uid(MintId(""));
    auto done = Ask(&v2::KeyManagementService::Stub::Encrypt, request, response, call);
    WipeBytes(request.mutable_plaintext()->data(), request.plaintext().size());
    TRY(std::move(done));
    TRY(CheckWrapped(response));
    Wrapped wrapped{
        .version = response.key_id(), .ciphertext = response.ciphertext(), .annotations = {}};
    for (const auto& [key, value] : response.annotations()) wrapped.annotations[key] = value;
    return wrapped;
  }

  Result<SecretBytes> Unwrap(const Wrapped& wrapped, const Call& call) override {
    v2::DecryptRequest request;
    v2::DecryptResponse response;
    request.set_ciphertext(wrapped.ciphertext);
    request.set_key_id(wrapped.version);
    request.set_uid(MintId(""));
    for (const auto& [key, value] : wrapped.annotations) {
      (*request.mutable_annotations())[key] = value;
    }
    TRY(Ask(&v2::KeyManagementService::Stub::Decrypt, request, response, call));
    SecretBytes secret(response.plaintext());
    WipeBytes(response.mutable_plaintext()->data(), response.plaintext().size());
    return secret;
  }

  Result<std::string> Check(const Call& call) override {
    v2::StatusResponse response;
    TRY(Ask(&v2::KeyManagementService::Stub::Status, v2::StatusRequest(), response, call));
    if (response.version() != "v2" && response.version() != "v2beta1") {
      return Nonsense("it speaks version '" + Told(response.version()) + "' of the API, not v2");
    }
    if (response.healthz() != "ok") return Nonsense("it is not well: " + Told(response.healthz()));
    TRY(CheckKeyId(response.key_id()));
    return response.key_id();
  }

  std::string Place() const override { return place_; }

 private:
  template <typename Request, typename Response>
  Result<void> Ask(grpc::Status (v2::KeyManagementService::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                   const Request& request, Response& response, const Call& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + call.timeout);
    std::stop_callback cancel(call.stop, [&context] { context.TryCancel(); });
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) return Ok();
    if (call.stop.stop_requested()) return Error(Code::kAborted, place_ + ": stopped");
    return Error(CodeOf(status.error_code()), place_ + ": " + Told(status.error_message()));
  }

  Error Nonsense(const std::string& what) const {
    return Error(Code::kUnavailable, place_ + ": " + what);
  }

  Result<void> CheckKeyId(const std::string& key_id) const {
    if (key_id.empty() || key_id.size() > kVersionBytesMax) {
      return Nonsense("its key_id must have 1 to 1024 bytes");
    }
    return Ok();
  }

  Result<void> CheckWrapped(const v2::EncryptResponse& response) const {
    TRY(CheckKeyId(response.key_id()));
    if (response.ciphertext().empty() || response.ciphertext().size() > kKmsCiphertextBytesMax) {
      return Nonsense("its ciphertext must have 1 to 1024 bytes");
    }
    size_t bytes = 0;
    for (const auto& [key, value] : response.annotations()) bytes += key.size() + value.size();
    if (bytes > kAnnotationsBytesMax) return Nonsense("its annotations have more than 32 KiB");
    return Ok();
  }

  const std::string place_;
  const std::unique_ptr<v2::KeyManagementService::Stub> stub_;
};

}  // namespace

Result<std::unique_ptr<KeyProvider>> OpenKmsProvider(const std::string& endpoint) {
  auto normal = rpcs::NormaliseEndpoint(endpoint);
  if (!normal.ok() || rpcs::SocketPath(*normal).empty()) {
    return Error(Code::kInvalid,
                 "'kmsv2:" + endpoint + "': write kmsv2:unix:///SOCKET, an absolute path");
  }
  TRY(auto channel, rpcs::OpenChannel(*normal, std::string()));
  return std::unique_ptr<KeyProvider>(
      std::make_unique<KmsProvider>(std::move(channel), "kmsv2:" + *normal));
}

}  // namespace tarn::keys
