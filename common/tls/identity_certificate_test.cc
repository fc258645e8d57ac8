// The identity certificate: what is made is read again; what breaks its format is refused by name.
#include "common/tls/identity_certificate.h"

#include <gmock/gmock.h>
#include <openssl/x509v3.h>

#include "common/tls/der.h"
#include "common/tls/identity_extensions.h"
#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

using std::chrono::sys_seconds;
using ::testing::HasSubstr;

const sys_seconds kNow{std::chrono::seconds(1'750'000'000)};

CertificateIdentity Full() {
  return {.access_point_id = "fsap-0123456789abcdef0",
          .sigv4 = SigV4Claim{.access_key_id = "AKIAEXAMPLE",
                              .signature = std::string("\x00\x01\xff", 3),
                              .date = kNow,
                              .session_token = "session"},
          .file_system_id = "fs-0123456789abcdef0",
          .client_info = ClientInfo{.source = "k8s", .version = "1.0"},
          .token = "eyJ.payload.signature"};
}

Result<ParsedCertificate> MakeAndRead(const NewCertificate& wanted) {
  TRY(std::string key, NewPrivateKey());
  TRY(std::string pem, MakeIdentityCertificate(key, wanted));
  return ReadIdentityCertificate(*ParseCertificate(pem));
}

std::string Problem(const Result<ParsedCertificate>& result) {
  return result.ok() ? "none" : result.error().message();
}

// A certificate with these extensions as they are, right or wrong.
struct Raw {
  std::string oid;
  std::string der;
  bool critical = false;
};

Owned<X509> WithExtensions(const std::vector<Raw>& extensions) {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 60);
  X509_set_pubkey(certificate.get(), key.get());
  for (const Raw& raw : extensions) {
    Owned<ASN1_OBJECT> oid(OBJ_txt2obj(raw.oid.c_str(), 1));
    Owned<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
    ASN1_OCTET_STRING_set(value.get(), reinterpret_cast<const unsigned char*>(raw.der.data()),
                          static_cast<int>(raw.der.size()));
    Owned<X509_EXTENSION> made(
        X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), raw.critical ? 1 : 0, value.get()));
    X509_add_ext(certificate.get(), made.get(), -1);
  }
  EXPECT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  return certificate;
}

std::string ProblemOf(const std::vector<Raw>& extensions) {
  return Problem(ReadIdentityCertificate(*WithExtensions(extensions)));
}

std::string Text(const std::string& text) {
  return DerValue(kDerUtf8String, text);
}

TEST(IdentityCertificate, GivesBackWhatWasPutIn) {
  auto parsed = MakeAndRead({.identity = Full(), .now = kNow});
  ASSERT_TRUE(parsed.ok()) << Problem(parsed);
  EXPECT_EQ(parsed->identity, Full());
  EXPECT_EQ(parsed->not_before, kNow - std::chrono::minutes(15));
  EXPECT_EQ(parsed->not_after, kNow + std::chrono::hours(3));
}

TEST(IdentityCertificate, EveryPartMayBeAbsent) {
  auto none = MakeAndRead({.identity = {}, .now = kNow});
  ASSERT_TRUE(none.ok()) << Problem(none);
  EXPECT_TRUE(none->identity.empty());
  for (size_t part = 0; part < 5; ++part) {
    CertificateIdentity identity;
    if (part == 0) identity.access_point_id = Full().access_point_id;
    if (part == 1) identity.sigv4 = Full().sigv4;
    if (part == 1) identity.sigv4->session_token.reset();
    if (part == 2) identity.file_system_id = Full().file_system_id;
    if (part == 3) identity.client_info = Full().client_info;
    if (part == 4) identity.token = Full().token;
    auto parsed = MakeAndRead({.identity = identity, .now = kNow});
    ASSERT_TRUE(parsed.ok()) << Problem(parsed);
    EXPECT_EQ(parsed->identity, identity);
  }
}

TEST(IdentityCertificate, HashesAreOfThePublicKeyAlone) {
  std::string key = NewPrivateKey().value();
  auto read = [](const std::string& pem) {
    return ReadIdentityCertificate(*ParseCertificate(pem)).value();
  };
  auto first = read(MakeIdentityCertificate(key, {.identity = Full(), .now = kNow}).value());
  auto second = read(MakeIdentityCertificate(key, {.identity = {}, .now = kNow}).value());
  auto other = MakeAndRead({.identity = Full(), .now = kNow}).value();
  EXPECT_EQ(first.public_key, second.public_key);
  EXPECT_NE(first.public_key.sha256, other.public_key.sha256);
  EXPECT_NE(first.public_key.sha1, other.public_key.sha1);
  EXPECT_NE(first.public_key, PublicKeyHashes());
}

TEST(IdentityCertificate, TokensUpToTheLimit) {
  CertificateIdentity identity;
  identity.token = std::string(kTokenBytesMax, 't');
  EXPECT_TRUE(MakeAndRead({.identity = identity, .now = kNow}).ok());
  *identity.token += 't';
  EXPECT_THAT(Problem(MakeAndRead({.identity = identity, .now = kNow})),
              AllOf(HasSubstr(kTokenOid), HasSubstr("token")));
  identity.token->pop_back();
  identity.sigv4 = Full().sigv4;
  identity.sigv4->session_token = std::string(kSessionTokenBytesMax, 's');
  EXPECT_THAT(Problem(MakeAndRead({.identity = identity, .now = kNow})), HasSubstr("24576"));
  EXPECT_THAT(ProblemOf({{kTokenOid, std::string(100'000, 'x')}}), HasSubstr(kTokenOid));
}

TEST(IdentityCertificate, NamesTheExtensionAtFault) {
  std::string good = Text("fsap-0123456789abcdef0");
  const std::vector<std::pair<Raw, const char*>> cases{
      {{kAccessPointOid, ""}, "access point id"},
      {{kAccessPointOid, good + "x"}, "access point id"},
      {{kAccessPointOid, good.substr(0, 10)}, "access point id"},
      {{kAccessPointOid, Text("fs-0123456789abcdef0")}, "access point id"},
      {{kAccessPointOid, Text("fsap-0123456789abcdef0\n")}, "access point id"},
      {{kAccessPointOid, DerValue(kDerOctetString, "fsap-0123456789abcdef0")}, "access point id"},
      {{kFileSystemOid, Text("../fs-01234567")}, "file system id"},
      {{kFileSystemOid, std::string("\x0c\x81\x0b") + "fs-01234567"}, "file system id"},
      {{kFileSystemOid, std::string("\x0c\x80", 2) + "fs-01234567"}, "file system id"},
      {{kClientInfoOid, DerValue(kDerSequence, Text("a"))}, "client info"},
      {{kClientInfoOid, DerValue(kDerSequence, Text("a") + Text("b") + Text("c"))}, "client info"},
      {{kClientInfoOid, DerValue(kDerSequence, Text("a") + Text(std::string(129, 'b')))},
       "client info"},
      {{kTokenOid, Text("a\x01")}, "token"},
      {{kTokenOid, Text("\xff")}, "token"},
      {{kTokenOid, Text("\xc0\x80")}, "token"},
      {{kTokenOid, Text("")}, "token"},
      {{kSigV4Oid, Text("AKIA")}, "SigV4"},
  };
  for (const auto& [raw, name] : cases) {
    EXPECT_THAT(ProblemOf({raw}), AllOf(HasSubstr(raw.oid), HasSubstr(name)));
  }
}

TEST(IdentityCertificate, SigV4PartsAreStrict) {
  std::string key = Text("AKIA");
  std::string signature = DerValue(kDerOctetString, "sig");
  std::string date = DerValue(kDerUtcTime, "250615120000Z");
  auto problem = [](const std::string& fields) {
    return ProblemOf({{kSigV4Oid, DerValue(kDerSequence, fields)}});
  };
  EXPECT_EQ(problem(key + signature + date), "none");
  std::string token = DerValue(kDerContext0, Text("session"));
  EXPECT_EQ(problem(key + signature + date + token), "none");
  for (const std::string& bad :
       {key + signature, key + date + signature, key + signature + date + Text("session"),
        key + signature + date + token + token, key + DerValue(kDerOctetString, "") + date,
        key + signature + DerValue(kDerUtcTime, "250615120000"),
        key + signature + DerValue(kDerUtcTime, "251315120000Z"),
        key + signature + DerValue(kDerUtcTime, "250230120000Z"),
        key + signature + DerValue(kDerUtcTime, "2506151200+1Z"),
        key + signature + date + DerValue(kDerContext0, token)}) {
    EXPECT_THAT(problem(bad), HasSubstr(kSigV4Oid));
  }
}

TEST(IdentityCertificate, StrangersAndDoubles) {
  Raw point{kAccessPointOid, Text("fsap-0123456789abcdef0")};
  EXPECT_THAT(ProblemOf({point, point}), HasSubstr("twice"));
  EXPECT_EQ(ProblemOf({point, {"1.2.3.4", "whatever"}}), "none");
  EXPECT_THAT(ProblemOf({point, {"1.2.3.4", "whatever", true}}), HasSubstr("1.2.3.4"));
}

TEST(IdentityCertificate, BytesThatAreNoCertificate) {
  EXPECT_EQ(ReadIdentityCertificate(std::span<const std::byte>()).code(), Code::kInvalid);
  std::vector<std::byte> junk(kCertificateBytesMax + 1);
  EXPECT_THAT(Problem(ReadIdentityCertificate(junk)), HasSubstr("32768"));
  EXPECT_EQ(MakeIdentityCertificate("no key", {}).code(), Code::kInvalid);
}

}  // namespace
}  // namespace tarn::tls
