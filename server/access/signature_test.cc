// Clients of the original EFS mount helper (tls,iam), which sign their certificate's key.
#include "server/access/testing.h"

namespace tarn::access {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using nfs_client::ClientOptions;

constexpr const char* kUser = "arn:aws:iam::123456789012:user/backup";

class SignatureTest : public AccessTest {
 protected:
  SignatureTest() {
    json key = {{"id", "AKIA1"}, {"secret", "secret"}, {"principal", kUser}};
    access_keys_ = identity::AccessKeys::Parse(json({{"accessKeys", {key}}}).dump()).value();
    PutPolicy(R"({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*",
        "Principal": {"AWS": ")" +
              std::string(kUser) + R"("}}})");
  }
  static std::string CertificateOf(const std::string& key, const CertificateIdentity& identity) {
    return tls::MakeIdentityCertificate(
               key, {.identity = identity, .now = std::chrono::system_clock::now()})
        .value();
  }
  static tls::PublicKeyHashes HashesOf(const std::string& key) {
    return tls::HashPrivateKey(key).value();
  }
  // What the helper says of itself, signed for that private key.
  CertificateIdentity Signed(const std::string& key, const std::string& secret,
                             std::chrono::seconds ago = {}) {
    tls::PublicKeyHashes hashes = HashesOf(key);
    CertificateIdentity identity;
    identity.file_system_id = fs_;
    identity.sigv4 = tls::SigV4Claim{
        .access_key_id = "AKIA1",
        .signature = {},
        .date = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) - ago,
        .session_token = {}};
    auto signature =
        tls::SignConnect(SecretBytes(secret), *identity.sigv4,
                         {.public_key = hashes, .file_system_id = fs_, .region = "local"});
    identity.sigv4->signature = signature.value();
    return identity;
  }
  ClientOptions With(const std::string& key, const CertificateIdentity& identity) {
    auto options = Tls();
    options.tls->certificate_pem = CertificateOf(key, identity);
    options.tls->key_pem = key;
    return options;
  }
  std::string key_ = tls::NewPrivateKey().value();
};

TEST_F(SignatureTest, NamesThePrincipalThatThePolicyKnows) {
  EXPECT_EQ(RootOf(*Connect(With(key_, Signed(key_, "secret")))), nfs4::NFS4_OK);
  EXPECT_EQ(RootOf(*Connect(Tls())), nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(RootOf(*Connect(As(Token("a", "web")))), nfs4::NFS4ERR_ACCESS);
}

TEST_F(SignatureTest, OneThatIsNotGenuineIsTurnedAway) {
  EXPECT_TRUE(TurnedAway(With(key_, Signed(key_, "guessed"))));
  EXPECT_TRUE(TurnedAway(With(key_, Signed(key_, "secret", std::chrono::hours(25)))));
  EXPECT_TRUE(TurnedAway(With(key_, Signed(key_, "secret", -std::chrono::minutes(20)))));
}

// What anybody may read who sees a certificate of TLS 1.2.
TEST_F(SignatureTest, ACopyInAnotherKeysCertificateIsTurnedAway) {
  CertificateIdentity copied = Signed(key_, "secret");
  EXPECT_FALSE(TurnedAway(With(key_, copied)));
  EXPECT_TRUE(TurnedAway(With(tls::NewPrivateKey().value(), copied)));
}

TEST_F(SignatureTest, WithoutAccessKeysItCountsForNothing) {
  access_keys_ = nullptr;
  EXPECT_EQ(RootOf(*Connect(With(key_, Signed(key_, "secret")))), nfs4::NFS4ERR_ACCESS);
}

TEST_F(SignatureTest, NobodyIsTwo) {
  CertificateIdentity both = Signed(key_, "secret");
  both.token = Token("a", "web");
  EXPECT_TRUE(TurnedAway(With(key_, both)));
}

}  // namespace
}  // namespace tarn::access
