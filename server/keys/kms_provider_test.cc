// What the plugin of tests/keys does not do: it hangs, breaks limits, refuses with any code.
#include "server/keys/kms_provider.h"

#include <grpcpp/server_context.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "api/kms.grpc.pb.h"
#include "common/grpc/server.h"
#include "server/keys/testing/key_files.h"

namespace tarn::keys {
namespace {

class Plugin : public v2::KeyManagementService::Service {
 public:
  grpc::Status refusal;
  v2::StatusResponse status;
  v2::EncryptResponse encrypted;
  std::atomic<bool> hang{false};

 private:
  grpc::Status Answer(grpc::ServerContext* context) const {
    while (hang && !context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return refusal;
  }
  grpc::Status Status(grpc::ServerContext* context, const v2::StatusRequest*,
                      v2::StatusResponse* response) override {
    *response = status;
    return Answer(context);
  }
  grpc::Status Encrypt(grpc::ServerContext* context, const v2::EncryptRequest*,
                       v2::EncryptResponse* response) override {
    *response = encrypted;
    return Answer(context);
  }
  grpc::Status Decrypt(grpc::ServerContext* context, const v2::DecryptRequest* request,
                       v2::DecryptResponse* response) override {
    response->set_plaintext(request->key_id() + ":" + request->ciphertext() + ":" +
                            request->annotations().at("a.example"));
    return Answer(context);
  }
};

class KmsProviderTest : public testing::Test {
 protected:
  KmsProviderTest() {
    plugin_.status.set_version("v2");
    plugin_.status.set_healthz("ok");
    plugin_.status.set_key_id("key-1");
    plugin_.encrypted.set_key_id("key-1");
    plugin_.encrypted.set_ciphertext("sealed");
    (*plugin_.encrypted.mutable_annotations())["a.example"] = "b";
    server_ =
        rpcs::Server::Start({{.endpoint = files_.File("kms.sock"), .tls_dir = {}}}, {&plugin_})
            .value();
    provider_ = OpenProvider("kmsv2:unix://" + files_.File("kms.sock")).value();
  }
  Result<Wrapped> Wrap(const Call& call = {}) {
    return provider_->Wrap(SecretBytes("secret"), call);
  }

  KeyFiles files_;
  Plugin plugin_;
  std::unique_ptr<rpcs::Server> server_;
  std::unique_ptr<KeyProvider> provider_;
};

TEST_F(KmsProviderTest, GivesBackWhatEncryptGave) {
  auto wrapped = Wrap();
  ASSERT_TRUE(wrapped.ok()) << wrapped.error().ToString();
  auto secret = provider_->Unwrap(*wrapped, {});
  ASSERT_TRUE(secret.ok()) << secret.error().ToString();
  EXPECT_EQ(secret->view(), "key-1:sealed:b");
  EXPECT_EQ(provider_->Check({}).value(), "key-1");
  plugin_.status.set_key_id("key-2");
  EXPECT_EQ(provider_->Check({}).value(), "key-2");
}

TEST_F(KmsProviderTest, OnlySomeCodesSpeakOfTheKey) {
  const std::map<grpc::StatusCode, Code> codes = {
      {grpc::StatusCode::NOT_FOUND, Code::kNotFound},
      {grpc::StatusCode::PERMISSION_DENIED, Code::kDenied},
      {grpc::StatusCode::FAILED_PRECONDITION, Code::kDenied},
      {grpc::StatusCode::INVALID_ARGUMENT, Code::kCorrupt},
      {grpc::StatusCode::DATA_LOSS, Code::kCorrupt},
      {grpc::StatusCode::UNKNOWN, Code::kUnavailable},
      {grpc::StatusCode::INTERNAL, Code::kUnavailable},
      {grpc::StatusCode::UNAVAILABLE, Code::kUnavailable},
      {grpc::StatusCode::UNAUTHENTICATED, Code::kUnavailable},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, Code::kUnavailable},
      {grpc::StatusCode::DEADLINE_EXCEEDED, Code::kUnavailable},
      {grpc::StatusCode::CANCELLED, Code::kUnavailable},
  };
  const Wrapped wrapped = Wrap().value();
  for (auto [told, code] : codes) {
    plugin_.refusal = grpc::Status(told, "the reason\nin lines");
    auto secret = provider_->Unwrap(wrapped, {});
    EXPECT_EQ(secret.code(), code) << told;
    EXPECT_NE(secret.error().message().find("the reason in lines"), std::string::npos);
    EXPECT_EQ(IsDefinite(secret.code()), code != Code::kUnavailable);
  }
}

TEST_F(KmsProviderTest, AnUnwellPluginIsTrouble) {
  plugin_.status.set_healthz("the HSM is cold");
  EXPECT_EQ(provider_->Check({}).code(), Code::kUnavailable);
  plugin_.status.set_healthz("ok");
  plugin_.status.set_version("v1beta1");
  EXPECT_EQ(provider_->Check({}).code(), Code::kUnavailable);
  plugin_.status.set_version("v2");
  plugin_.status.set_key_id("");
  EXPECT_EQ(provider_->Check({}).code(), Code::kUnavailable);
}

TEST_F(KmsProviderTest, AnswersBeyondTheLimitsAreRefused) {
  const v2::EncryptResponse good = plugin_.encrypted;
  plugin_.encrypted.set_ciphertext(std::string(1025, 'c'));
  EXPECT_EQ(Wrap().code(), Code::kUnavailable);
  plugin_.encrypted = good;
  plugin_.encrypted.set_key_id(std::string(1025, 'k'));
  EXPECT_EQ(Wrap().code(), Code::kUnavailable);
  plugin_.encrypted = good;
  (*plugin_.encrypted.mutable_annotations())["c.example"] = std::string(33 << 10, 'a');
  EXPECT_EQ(Wrap().code(), Code::kUnavailable);
}

TEST_F(KmsProviderTest, GivesUpAtTheDeadlineAndWhenStopped) {
  plugin_.hang = true;
  EXPECT_EQ(Wrap({.timeout = std::chrono::milliseconds(200), .stop = {}}).code(),
            Code::kUnavailable);
  std::stop_source stop;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop.request_stop();
  });
  EXPECT_EQ(Wrap({.timeout = std::chrono::seconds(60), .stop = stop.get_token()}).code(),
            Code::kAborted);
  stopper.join();
  plugin_.hang = false;
}

TEST_F(KmsProviderTest, APluginThatIsGoneIsTrouble) {
  server_ = nullptr;
  EXPECT_EQ(Wrap({.timeout = std::chrono::milliseconds(500), .stop = {}}).code(),
            Code::kUnavailable);
}

}  // namespace
}  // namespace tarn::keys
