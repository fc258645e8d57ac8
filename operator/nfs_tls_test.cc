#include "operator/nfs_tls.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "common/tls/openssl.h"
#include "operator/testing/rig.h"
#include "operator/tls_secrets.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

constexpr int64_t kDay = 86400;

class NfsTlsTest : public testing::Test {
 protected:
  std::string Leaf() { return SecretEntry(rig_.Get(kSecret, "shared-nfs-tls"), "tls.crt"); }
  std::string Ca(const char* entry = "tls.crt") {
    return SecretEntry(rig_.Get(kSecret, kNfsCa, "tarn"), entry);
  }
  std::string Published() {
    return Str(Object(rig_.Get(kConfigMap, kNfsCa, "tarn"), "data"), "ca.crt");
  }
  // As a client does that checks whom it reached.
  bool IsFor(const std::string& name) {
    auto cert = tls::ParseCertificate(Leaf());
    if (!cert) return false;
    return X509_check_host(cert.get(), name.c_str(), name.size(), 0, nullptr) == 1 ||
           X509_check_ip_asc(cert.get(), name.c_str(), 0) == 1;
  }
  bool SignedBy(const std::string& ca) {
    auto leaf = tls::ParseCertificate(Leaf()), authority = tls::ParseCertificate(ca);
    return leaf && authority && X509_verify(leaf.get(), X509_get0_pubkey(authority.get())) == 1;
  }
  // What kRefresh would bring in time.
  void Touch() { rig_.Touch(kube::Recent::kFreshSeconds); }
  void After(int64_t seconds) {
    rig_.clock_offset += seconds;
    Touch();
  }

  Rig rig_;
};

TEST_F(NfsTlsTest, IsForTheIdAndEveryAddressOfTheFileSystem) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  EXPECT_TRUE(IsFor(id + ".efs.tarn"));
  EXPECT_TRUE(IsFor("shared.default.svc"));
  EXPECT_TRUE(IsFor("shared.default.svc.cluster.local"));
  EXPECT_TRUE(IsFor(rig_.Get(kService, "shared")["spec"]["clusterIP"]));
  EXPECT_FALSE(IsFor("shared"));
  EXPECT_TRUE(SignedBy(Ca()));
  EXPECT_EQ(Published(), Ca());
  EXPECT_FALSE(Ca("tls.key").empty());
  EXPECT_EQ(Published().find("PRIVATE KEY"), std::string::npos);

  rig_.Create(kMountTarget, {{"metadata", {{"name", "mt"}}},
                             {"spec", {{"fileSystemRef", {{"name", "shared"}}}}}});
  EXPECT_TRUE(Eventually([&] { return IsFor("mt-nfs.default.svc"); }));
  ASSERT_TRUE(Eventually([&] { return !rig_.Gone(kService, "mt-nfs"); }));
  std::string ip = rig_.Get(kService, "mt-nfs")["spec"]["clusterIP"];
  EXPECT_TRUE(Eventually([&] { return IsFor(ip); }));
  rig_.Delete(kMountTarget, "mt");
  EXPECT_TRUE(Eventually([&] { return !IsFor(ip) && IsFor("shared.default.svc"); }));
}

TEST_F(NfsTlsTest, IsMadeBeforeTheServer) {
  rig_.Start();
  rig_.MakeShared();
  bool secret = false, map = false;
  for (const std::string& request : rig_.cluster.requests()) {
    if (!request.starts_with("PATCH ")) continue;
    secret |= request.find("/secrets/shared-nfs-tls") != std::string::npos;
    map |= request.find("/configmaps/shared-token-issuers") != std::string::npos;
    if (request.find("/statefulsets/shared") == std::string::npos) continue;
    EXPECT_TRUE(secret && map);
    return;
  }
  FAIL() << "no server was made";
}

TEST_F(NfsTlsTest, IsRenewedWhenAThirdOfItsTimeIsLeft) {
  rig_.Start();
  rig_.MakeShared();
  std::string first = Leaf(), ca = Ca();
  After(kLeafLifeSeconds / 3 * 2 + kDay);
  EXPECT_TRUE(Eventually([&] { return Leaf() != first; }));
  EXPECT_EQ(Ca(), ca);
}

TEST_F(NfsTlsTest, AnAuthorityIsReplacedWithAnOverlapOnBothSides) {
  rig_.Start();
  rig_.MakeShared();
  std::string old = Ca();
  rig_.Change(kSecret, {{"metadata",
                         {{"name", kNfsCa},
                          {"namespace", "tarn"},
                          {"annotations", {{kRotateAnnotation, "the key was seen"}}}}}});
  Touch();
  ASSERT_TRUE(Eventually([&] { return !Ca("next.crt").empty(); }));
  std::string fresh = Ca("next.crt");
  EXPECT_EQ(Ca(), old);
  EXPECT_TRUE(Eventually([&] { return Published() == old + fresh; }));
  EXPECT_TRUE(SignedBy(old));
  EXPECT_FALSE(Object(rig_.Get(kSecret, kNfsCa, "tarn")["metadata"], "annotations")
                   .contains(kRotateAnnotation));

  After(kNfsCaOverlapSeconds + kDay);
  ASSERT_TRUE(Eventually([&] { return Ca() == fresh && SignedBy(fresh); }));
  EXPECT_TRUE(Eventually([&] { return Published() == fresh + old; }));
  EXPECT_TRUE(Ca("next.crt").empty() && Ca("next.key").empty());

  After(kNfsCaOverlapSeconds + kDay);
  EXPECT_TRUE(Eventually([&] { return Published() == fresh; }));
  EXPECT_TRUE(Ca("previous.crt").empty());
}

TEST_F(NfsTlsTest, AnAuthorityIsReplacedLongBeforeItEnds) {
  rig_.Start();
  rig_.MakeShared();
  std::string old = Ca();
  After(kCaLifeSeconds / 3 * 2 + kDay);
  EXPECT_TRUE(Eventually([&] { return !Ca("next.crt").empty(); }));
  After(kNfsCaOverlapSeconds + kDay);
  EXPECT_TRUE(Eventually([&] { return Ca() != old && SignedBy(Ca()); }));
}

TEST_F(NfsTlsTest, WhatIsDeletedIsMadeAnew) {
  rig_.Start();
  rig_.MakeShared();
  std::string old = Ca();
  rig_.Delete(kConfigMap, kNfsCa, "tarn");
  EXPECT_TRUE(Eventually([&] { return Published() == old; }));
  rig_.Delete(kSecret, kNfsCa, "tarn");
  Touch();
  EXPECT_TRUE(Eventually([&] { return !Ca().empty() && Published() == Ca() && SignedBy(Ca()); }));
  EXPECT_NE(Ca(), old);
}

TEST_F(NfsTlsTest, ABrokenAuthorityIsNamed) {
  rig_.Create(kSecret, {{"metadata", {{"name", kNfsCa}, {"namespace", "tarn"}}},
                        {"data", {{"tls.crt", "eA=="}, {"tls.key", "eA=="}}}});
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually([&] {
    std::string why = rig_.Condition(kFileSystem, "shared", "Ready", "message");
    return why.find("Secret tarn-nfs-ca") != std::string::npos;
  }));
  EXPECT_TRUE(rig_.Gone(kStatefulSet, "shared"));
}

}  // namespace
}  // namespace tarn::op
