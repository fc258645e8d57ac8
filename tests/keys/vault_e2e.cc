// The provider of Vault Transit against Vault's own Transit engine (hack/keys/vault), over TLS.
#include <gmock/gmock.h>

#include "common/grpc/testing/certificates.h"
#include "server/daemon/testing/server_process.h"
#include "server/keys/data_key.h"
#include "server/keys/http.h"
#include "server/keys/testing/key_files.h"
#include "tests/keys/peer.h"

namespace tarn::keys {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kRoot[] = "root-token";

class Vault : public testing::Test {
 protected:
  Vault() {
    authority_.Issue(files_.File("tls"));
    files_.Write("token", "client-token\n");
    Start("");
  }

  void Start(const std::string& vault_namespace) {
    vault_ = nullptr;
    ready_ = false;
    port_ = FreePort();
    const std::string address = "127.0.0.1:" + std::to_string(port_);
    std::vector<std::string> arguments = {"-address",     address,
                                          "-certificate", files_.File("tls/tls.crt"),
                                          "-key",         files_.File("tls/tls.key"),
                                          "-mount",       "team/transit",
                                          "-root-token",  kRoot,
                                          "-token-file",  files_.File("allowed")};
    if (!vault_namespace.empty()) {
      arguments.insert(arguments.end(), {"-namespace", vault_namespace});
    }
    namespace_ = vault_namespace;
    files_.Write("allowed", "client-token");
    vault_ = std::make_unique<daemon::ServerProcess>(PeerProgram("vault"), arguments);
    ASSERT_TRUE(Eventually([&] { return Ask("keys/tarn", R"({"type":"aes256-gcm96"})") == 200; }))
        << vault_->Output();
    ready_ = true;
    provider_ = Provider();
  }
  std::unique_ptr<KeyProvider> Provider(const std::string& options = "") {
    std::string uri = "vault-transit:https://localhost:" + std::to_string(port_) +
                      "/team/transit/keys/tarn?token-file=" + files_.File("token") +
                      "&ca-file=" + files_.File("tls/ca.crt");
    if (!namespace_.empty()) uri += "&namespace=" + namespace_;
    return OpenProvider(uri + options).value();
  }
  // As the administrator; the HTTP status.
  long Ask(const std::string& path, const std::string& body) {
    HttpRequest request;
    request.url = "https://localhost:" + std::to_string(port_) + "/v1/" +
                  (path.starts_with("sys/") ? "" : "team/transit/") + path;
    request.ca_file = files_.File("tls/ca.crt");
    request.headers.emplace_back(std::string("X-Vault-Token: ") + kRoot);
    if (!namespace_.empty()) request.headers.emplace_back("X-Vault-Namespace: " + namespace_);
    request.body = SecretBytes(body);
    auto answer = AskHttp(request, {});
    EXPECT_TRUE(answer.ok() || vault_ == nullptr || !ready_) << answer.error().ToString();
    return answer.ok() ? answer->status : 0;
  }
  void Rotate() { EXPECT_EQ(Ask("keys/tarn/rotate", "{}"), 200); }

  std::string Wrap() {
    auto blob = WrapDataKey(*provider_, "fs-1", key_, {});
    EXPECT_TRUE(blob.ok()) << blob.error().ToString();
    return blob.ok() ? *blob : "";
  }
  Result<SecretBytes> Unwrap(const std::string& blob) {
    return UnwrapDataKey(*provider_, "fs-1", blob, {});
  }

  KeyFiles files_;
  rpcs::TestAuthority authority_;
  uint16_t port_ = 0;
  std::string namespace_;
  bool ready_ = false;
  std::unique_ptr<daemon::ServerProcess> vault_;
  std::unique_ptr<KeyProvider> provider_;
  SecretBytes key_ = MakeDataKey().value();
};

TEST_F(Vault, WrapsAndUnwraps) {
  const std::string blob = Wrap();
  EXPECT_THAT(blob, HasSubstr("vault:v1:"));
  auto back = Unwrap(blob);
  ASSERT_TRUE(back.ok()) << back.error().ToString();
  EXPECT_TRUE(back->Equals(key_.view()));
  EXPECT_EQ(provider_->Check({}).value(), "v1");
  EXPECT_EQ(VersionOfBlob(blob).value(), "v1");
}

TEST_F(Vault, RotatesAndRewraps) {
  const std::string old = Wrap();
  Rotate();
  EXPECT_EQ(provider_->Check({}).value(), "v2");
  EXPECT_TRUE(Unwrap(old).ok());
  auto now = RewrapDataKey(*provider_, old, {});
  ASSERT_TRUE(now.ok()) << now.error().ToString();
  EXPECT_EQ(VersionOfBlob(*now).value(), "v2");
  EXPECT_TRUE(Unwrap(*now)->Equals(key_.view()));
  // The old version is retired: only what was wrapped again can be unwrapped.
  EXPECT_EQ(Ask("keys/tarn/config", R"({"min_decryption_version":2})"), 200);
  EXPECT_EQ(Unwrap(old).code(), Code::kDenied);
  EXPECT_TRUE(Unwrap(*now).ok());
}

TEST_F(Vault, ADeletedKeyIsNotFoundAndIsNotMadeAnew) {
  const std::string blob = Wrap();
  EXPECT_EQ(Ask("keys/tarn/config", R"({"deletion_allowed":true})"), 200);
  EXPECT_EQ(Ask("keys/tarn/delete", "{}"), 204);
  EXPECT_EQ(Unwrap(blob).code(), Code::kNotFound);
  EXPECT_EQ(provider_->Check({}).code(), Code::kNotFound);
  EXPECT_EQ(WrapDataKey(*provider_, "fs-1", key_, {}).code(), Code::kNotFound);
  EXPECT_EQ(provider_->Check({}).code(), Code::kNotFound);
  // Another key of the same name did not wrap it.
  EXPECT_EQ(Ask("keys/tarn", "{}"), 200);
  EXPECT_EQ(Unwrap(blob).code(), Code::kCorrupt);
}

TEST_F(Vault, ATokenThatIsTakenAwayIsDeniedAndARenewedOneIsRead) {
  const std::string blob = Wrap();
  files_.Write("allowed", "another-token");
  auto denied = Unwrap(blob);
  EXPECT_EQ(denied.code(), Code::kDenied);
  EXPECT_THAT(denied.error().message(), HasSubstr("permission denied"));
  EXPECT_THAT(denied.error().message(), Not(HasSubstr("client-token")));
  files_.Write("token", "another-token");
  EXPECT_TRUE(Unwrap(blob).ok());
}

TEST_F(Vault, ASealedOneIsTrouble) {
  const std::string blob = Wrap();
  EXPECT_EQ(Ask("sys/seal", "{}"), 200);
  EXPECT_EQ(Unwrap(blob).code(), Code::kUnavailable);
  EXPECT_EQ(Ask("sys/unseal", "{}"), 200);
  EXPECT_TRUE(Unwrap(blob).ok());
}

TEST_F(Vault, OneThatIsGoneIsTrouble) {
  const std::string blob = Wrap();
  vault_ = nullptr;
  EXPECT_EQ(Unwrap(blob).code(), Code::kUnavailable);
}

TEST_F(Vault, ItsCertificateIsChecked) {
  rpcs::TestAuthority().Issue(files_.File("other"));
  auto provider = OpenProvider("vault-transit:https://localhost:" + std::to_string(port_) +
                               "/team/transit/keys/tarn?token-file=" + files_.File("token") +
                               "&ca-file=" + files_.File("other/ca.crt"))
                      .value();
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
}

TEST_F(Vault, SpeaksOfItsNamespace) {
  Start("team-a/sub");
  EXPECT_TRUE(Unwrap(Wrap()).ok());
  namespace_.clear();
  EXPECT_EQ(Provider()->Check({}).code(), Code::kNotFound);
}

TEST_F(Vault, ChangedBlobsAreCorrupt) {
  Wrapped wrapped = provider_->Wrap(SecretBytes("secret"), {}).value();
  wrapped.ciphertext.back() = wrapped.ciphertext.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(provider_->Unwrap(wrapped, {}).code(), Code::kCorrupt);
  wrapped.ciphertext = "vault:v9:" + wrapped.ciphertext.substr(9);
  EXPECT_EQ(provider_->Unwrap(wrapped, {}).code(), Code::kCorrupt);
  wrapped.ciphertext = "vault:v1:\"},{\"a";
  EXPECT_EQ(provider_->Unwrap(wrapped, {}).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace tarn::keys
