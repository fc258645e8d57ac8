#include "operator/token_issuers.h"

#include <gtest/gtest.h>

#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

const std::string kDiscovery = "/.well-known/openid-configuration";
const std::string kKeys = "/openid/v1/jwks";

class TokenIssuersTest : public testing::Test {
 protected:
  Json Issuers() {
    Json map = rig_.Get(kConfigMap, "shared-token-issuers");
    auto file = kube::ParseJson(Str(Object(map, "data"), "issuers.json"));
    return file.ok() ? (*file)["issuers"] : Json();
  }
  std::string KeyId() {
    Json issuers = Issuers();
    return issuers.size() == 1 ? Str(issuers[0]["jwks"]["keys"][0], "kid") : "";
  }
  void SetKey(const std::string& id) {
    rig_.cluster.SetDocument(kKeys, {{"keys", {{{"kty", "EC"}, {"kid", id}}}}});
  }
  Rig rig_;
};

TEST_F(TokenIssuersTest, AreWhatTheApiServerSaysOfItself) {
  rig_.Start();
  rig_.MakeShared();
  Json issuers = Issuers();
  ASSERT_EQ(issuers.size(), 1u);
  EXPECT_EQ(issuers[0]["issuer"], "https://cluster.test");
  EXPECT_EQ(issuers[0]["audience"], "tarn.dev");
  EXPECT_EQ(KeyId(), "one");
  Json owner = rig_.Get(kConfigMap, "shared-token-issuers")["metadata"]["ownerReferences"][0];
  EXPECT_EQ(owner["kind"], "FileSystem");
}

TEST_F(TokenIssuersTest, FollowItsKeys) {
  rig_.Start();
  rig_.MakeShared();
  SetKey("two");
  rig_.Touch(ClusterIssuer::kRefreshSeconds);
  EXPECT_TRUE(Eventually([&] { return KeyId() == "two"; }));
}

TEST_F(TokenIssuersTest, StayWhileItDoesNotShowThem) {
  rig_.Start();
  rig_.MakeShared();
  rig_.Kill();
  rig_.cluster.SetDocument(kKeys, Json());
  rig_.Start();
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "shared", "TokenIssuersRead") == "False"; }));
  EXPECT_EQ(KeyId(), "one");
  SetKey("two");
  rig_.Touch(ClusterIssuer::kRefreshSeconds);
  EXPECT_TRUE(Eventually([&] {
    return KeyId() == "two" && rig_.Condition(kFileSystem, "shared", "TokenIssuersRead").empty();
  }));
}

TEST_F(TokenIssuersTest, AServerRunsWithoutThemAndSaysSo) {
  rig_.cluster.SetDocument(kDiscovery, Json());
  rig_.Start();
  rig_.MakeShared();
  EXPECT_EQ(rig_.Condition(kFileSystem, "shared", "Ready"), "True");
  EXPECT_EQ(Issuers(), Json::array());
  std::string why = rig_.Condition(kFileSystem, "shared", "TokenIssuersRead", "message");
  EXPECT_NE(why.find(kDiscovery), std::string::npos) << why;
}

TEST_F(TokenIssuersTest, DocumentsThatMakeNoSenseReplaceNothing) {
  rig_.Start();
  rig_.MakeShared();
  for (const Json& odd : {Json{{"keys", Json::array()}}, Json::array(), Json{{"keys", 1}},
                          Json{{"keys", {{{"kid", std::string(300 << 10, 'x')}}}}}}) {
    rig_.cluster.SetDocument(kKeys, odd);
    size_t before = rig_.cluster.requests().size();
    rig_.Touch(ClusterIssuer::kRefreshSeconds);
    ASSERT_TRUE(Eventually([&] {
      auto requests = rig_.cluster.requests();
      return std::count(requests.begin() + static_cast<long>(before), requests.end(),
                        "GET " + kKeys) > 0;
    }));
    EXPECT_EQ(KeyId(), "one");
  }
}

TEST_F(TokenIssuersTest, SomebodyElsesMapIsNotTakenOver) {
  rig_.Create(kConfigMap,
              {{"metadata", {{"name", "shared-token-issuers"}}}, {"data", {{"a", "b"}}}});
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "shared", "Ready", "reason") == "Conflict"; }));
  EXPECT_FALSE(
      Object(rig_.Get(kConfigMap, "shared-token-issuers"), "data").contains(kIssuersEntry));
}

}  // namespace
}  // namespace tarn::op
