// The signatures were computed by Python's hashlib, hmac and urllib.parse.urlencode, from the text
//   GET / Action=Connect&PublicKeyHash=…&X-Amz-…=… host:fs-… host SHA256("")
// joined by line ends; `openssl dgst -sha256 -mac HMAC` gives the same.
#include "server/identity/access_keys.h"

#include <gtest/gtest.h>

namespace tarn::identity {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr std::chrono::sys_seconds kDate =
    std::chrono::sys_days(std::chrono::year(2026) / 11 / 27) + 15h + 4min + 5s;
constexpr std::chrono::sys_seconds kNewYear =
    std::chrono::sys_days(std::chrono::year(2027) / 1 / 1);
constexpr const char* kSignature =
    "ef5e012f856f6ae6850d4fa22edf2f71cef36b93b98f28d46ef228267b8b3f7f";
constexpr const char* kTemporarySignature =
    "6872e57eb4261bc1c4d67456d34f91d561bc999c7f36b0f2bf959de7ee68e279";
constexpr const char* kSessionToken = "a+b/c= d~_.-";
constexpr const char* kFile = R"({"accessKeys": [
    {"id": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
     "principal": "arn:aws:iam::123456789012:user/backup"},
    {"id": "ASIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
     "sessionToken": "a+b/c= d~_.-", "principal": "arn:aws:iam::123456789012:role/web"}]})";

class AccessKeysTest : public ::testing::Test {
 protected:
  AccessKeysTest() {
    for (size_t i = 0; i < hashes_.sha1.size(); ++i) hashes_.sha1[i] = static_cast<std::byte>(i);
  }
  Code Verified(const tls::SigV4Claim& claim, std::chrono::sys_seconds now = kDate) {
    return keys_->Verify(claim, about_, now).code();
  }
  tls::PublicKeyHashes hashes_;
  std::shared_ptr<const AccessKeys> keys_ = AccessKeys::Parse(kFile).value();
  AccessKeys::Signed about_{
      .public_key = hashes_, .file_system_id = "fs-0123456789abcdef0", .region = "local"};
  tls::SigV4Claim claim_{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                         .signature = kSignature,
                         .date = kDate,
                         .session_token = {}};
  tls::SigV4Claim temporary_{.access_key_id = "ASIAIOSFODNN7EXAMPLE",
                             .signature = kTemporarySignature,
                             .date = kNewYear,
                             .session_token = kSessionToken};
};

TEST_F(AccessKeysTest, AGenuineSignatureNamesItsPrincipal) {
  EXPECT_EQ(keys_->Verify(claim_, about_, kDate).value(), "arn:aws:iam::123456789012:user/backup");
  about_.file_system_id = "fs-01234567";
  about_.region = "eu-west-1";
  EXPECT_EQ(keys_->Verify(temporary_, about_, kNewYear).value(),
            "arn:aws:iam::123456789012:role/web");
}

TEST_F(AccessKeysTest, IsForItsKeyFileSystemAndRegionAlone) {
  about_.region = "other";
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
  about_.region = "local";
  about_.file_system_id = "fs-0123456789abcdef1";
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
  about_.file_system_id = "fs-0123456789abcdef0";
  EXPECT_EQ(Verified(claim_), Code::kOk);
  // A copy of the certificate's extension in a certificate of one's own.
  hashes_.sha1[19] ^= std::byte{1};
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
}

TEST_F(AccessKeysTest, CountsForADay) {
  EXPECT_EQ(Verified(claim_, kDate - 15min), Code::kOk);
  EXPECT_EQ(Verified(claim_, kDate - 15min - 1s), Code::kUnauthenticated);
  EXPECT_EQ(Verified(claim_, kDate + 24h), Code::kOk);
  EXPECT_EQ(Verified(claim_, kDate + 24h + 1s), Code::kUnauthenticated);
  claim_.date += 1s;
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated) << "the date is signed";
}

TEST_F(AccessKeysTest, OthersSignaturesAreRefused) {
  claim_.signature.back() = '0';
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
  claim_.signature.clear();
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
  claim_.signature = kSignature;
  claim_.access_key_id = "AKIAUNKNOWN";
  EXPECT_EQ(Verified(claim_), Code::kUnauthenticated);
}

TEST_F(AccessKeysTest, ATemporaryKeyNeedsItsSessionToken) {
  about_.file_system_id = "fs-01234567";
  about_.region = "eu-west-1";
  EXPECT_EQ(Verified(temporary_, kNewYear), Code::kOk);
  // Signed by whoever has the secret, for another token or none.
  SecretBytes secret(std::string_view("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
  temporary_.session_token = "another";
  temporary_.signature = tls::SignConnect(secret, temporary_, about_).value();
  EXPECT_EQ(Verified(temporary_, kNewYear), Code::kUnauthenticated);
  temporary_.session_token.reset();
  temporary_.signature = tls::SignConnect(secret, temporary_, about_).value();
  EXPECT_EQ(Verified(temporary_, kNewYear), Code::kUnauthenticated);
}

TEST_F(AccessKeysTest, WhatIsWrongWithTheFileIsSaid) {
  struct Case {
    const char* file;
    const char* says;
  };
  for (const Case& one : {
           Case{"", "accessKeys"},
           Case{R"({"accessKeys": 1})", "accessKeys"},
           Case{R"({"accessKeys": [1]})", "accessKeys[0]"},
           Case{R"({"accessKeys": [{"id": "a", "principal": "arn:aws:iam::1:user/a"}]})",
                "accessKeys[0].secret"},
           Case{R"({"accessKeys": [{"id": "a", "secret": "s", "principal": "root"}]})",
                "accessKeys[0].principal"},
           Case{R"({"accessKeys": [
                    {"id": "a", "secret": "s", "principal": "arn:aws:iam::1:user/a"},
                    {"id": "a", "secret": "s", "principal": "arn:aws:iam::1:user/a"}]})",
                "accessKeys[1].id"},
       }) {
    auto parsed = AccessKeys::Parse(one.file);
    ASSERT_EQ(parsed.code(), Code::kInvalid);
    EXPECT_NE(parsed.error().message().find(one.says), std::string::npos) << one.says;
  }
}

}  // namespace
}  // namespace tarn::identity
