// The provider of KMS v2 against a plugin made with Kubernetes' own library (hack/keys/kms-plugin).
#include <gmock/gmock.h>

#include "server/daemon/testing/server_process.h"
#include "server/keys/data_key.h"
#include "server/keys/testing/key_files.h"
#include "tests/keys/peer.h"

namespace tarn::keys {
namespace {

using testing::HasSubstr;

class KmsPlugin : public testing::Test {
 protected:
  KmsPlugin() {
    std::filesystem::create_directory(files_.File("keys"));
    files_.Write("keys/v1", std::string(32, 'a'));
    files_.Write("keys/v2", std::string(32, 'b'));
    files_.Write("keys/current", "v1");
    Start();
  }
  void Start() {
    plugin_ = nullptr;
    std::filesystem::remove(files_.File("kms.sock"));
    plugin_ = std::make_unique<daemon::ServerProcess>(
        PeerProgram("kms-plugin"),
        std::vector<std::string>{"-socket", files_.File("kms.sock"), "-keys", files_.File("keys")});
    // gRPC looks after a connection that failed only each five seconds.
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(files_.File("kms.sock")); }));
    if (!provider_) provider_ = OpenProvider("kmsv2:unix://" + files_.File("kms.sock")).value();
    ASSERT_TRUE(Eventually([&] { return provider_->Check({}).ok(); })) << plugin_->Output();
  }
  Result<SecretBytes> Unwrap(const std::string& blob) {
    return UnwrapDataKey(*provider_, "fs-1", blob, {});
  }
  std::string Wrap() { return WrapDataKey(*provider_, "fs-1", key_, {}).value(); }

  KeyFiles files_;
  std::unique_ptr<KeyProvider> provider_;
  std::unique_ptr<daemon::ServerProcess> plugin_;
  SecretBytes key_ = MakeDataKey().value();
};

TEST_F(KmsPlugin, WrapsAndUnwraps) {
  const std::string blob = Wrap();
  auto back = Unwrap(blob);
  ASSERT_TRUE(back.ok()) << back.error().ToString();
  EXPECT_TRUE(back->Equals(key_.view()));
  EXPECT_EQ(VersionOfBlob(blob).value(), "v1");
}

TEST_F(KmsPlugin, ANewKeyIdIsARotation) {
  const std::string old = Wrap();
  files_.Write("keys/current", "v2");
  EXPECT_EQ(provider_->Check({}).value(), "v2");
  EXPECT_TRUE(Unwrap(old).ok());
  const std::string now = RewrapDataKey(*provider_, old, {}).value();
  EXPECT_EQ(VersionOfBlob(now).value(), "v2");
  files_.Remove("keys/v1");
  EXPECT_EQ(Unwrap(old).code(), Code::kNotFound);
  EXPECT_TRUE(Unwrap(now)->Equals(key_.view()));
}

TEST_F(KmsPlugin, RefusalsAreToldApart) {
  const std::string blob = Wrap();
  files_.Write("keys/refuse", "7");  // PERMISSION_DENIED
  auto denied = Unwrap(blob);
  EXPECT_EQ(denied.code(), Code::kDenied);
  EXPECT_THAT(denied.error().message(), HasSubstr("refused by the test in two lines"));
  files_.Write("keys/refuse", "9");  // FAILED_PRECONDITION
  EXPECT_EQ(Unwrap(blob).code(), Code::kDenied);
  files_.Write("keys/refuse", "13");  // INTERNAL
  EXPECT_EQ(Unwrap(blob).code(), Code::kUnavailable);
  files_.Remove("keys/refuse");
  EXPECT_TRUE(Unwrap(blob).ok());
}

TEST_F(KmsPlugin, AnUnwellOneIsTrouble) {
  files_.Write("keys/healthz", "the HSM is cold");
  auto unwell = provider_->Check({});
  EXPECT_EQ(unwell.code(), Code::kUnavailable);
  EXPECT_THAT(unwell.error().message(), HasSubstr("the HSM is cold"));
}

TEST_F(KmsPlugin, AnotherKeyIsCorrupt) {
  const std::string blob = Wrap();
  files_.Write("keys/v1", std::string(32, 'c'));
  EXPECT_EQ(Unwrap(blob).code(), Code::kCorrupt);
}

TEST_F(KmsPlugin, ARestartIsOnlyAPause) {
  const std::string blob = Wrap();
  plugin_ = nullptr;
  EXPECT_EQ(Unwrap(blob).code(), Code::kUnavailable);
  Start();
  EXPECT_TRUE(Eventually([&] { return Unwrap(blob).ok(); }));
}

}  // namespace
}  // namespace tarn::keys
