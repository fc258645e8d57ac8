#include "server/identity/token_issuers.h"

#include <gtest/gtest.h>

#include <thread>

#include "server/identity/testing/token_maker.h"

namespace tarn::identity {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr seconds kNow{2000};

std::shared_ptr<const TokenIssuers> Trust(const TokenMaker& maker) {
  auto issuers = TokenIssuers::Parse(maker.File());
  EXPECT_TRUE(issuers.ok()) << issuers.error().ToString();
  return *issuers;
}

std::string FileOf(const std::vector<json>& issuers) {
  return json({{"issuers", issuers}}).dump();
}

json InCluster(json issuer, const json& cluster) {
  issuer["cluster"] = cluster;
  return issuer;
}

// The message says what is wrong and holds nothing of the token.
void ExpectRefused(const Result<ServiceAccount>& result, const std::string& why,
                   const std::string& token = "") {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.code(), Code::kUnauthenticated);
  EXPECT_NE(result.error().message().find(why), std::string::npos) << result.error().message();
  if (token.size() > 30) {
    EXPECT_EQ(result.error().message().find(token.substr(0, 30)), std::string::npos);
  }
}

class Algorithms : public ::testing::TestWithParam<const char*> {};

TEST_P(Algorithms, OfKubernetesAndOfOpenIdConnect) {
  TokenMaker cluster(GetParam());
  auto account = Trust(cluster)->Verify(cluster.Sign(cluster.Claims("shop", "web")), kNow);
  ASSERT_TRUE(account.ok()) << account.error().ToString();
  EXPECT_EQ(account->issuer, "https://cluster.test");
  EXPECT_EQ(account->name_space, "shop");
  EXPECT_EQ(account->name, "web");
  EXPECT_EQ(account->uid, "sa-uid");
  EXPECT_EQ(account->pod, "pod-0");
  EXPECT_EQ(account->pod_uid, "pod-uid");
  EXPECT_EQ(account->node, "node-a");
  EXPECT_EQ(account->expires, seconds(4600));
  EXPECT_EQ(account->UserName(), "system:serviceaccount:shop:web");
}

INSTANTIATE_TEST_SUITE_P(TokenIssuers, Algorithms,
                         ::testing::Values("RS256", "RS384", "RS512", "PS256", "ES256", "ES384",
                                           "ES512"),
                         [](const auto& param) { return std::string(param.param); });

TEST(TokenIssuers, ATokenOfNoPodNamesItsServiceAccountOnly) {
  TokenMaker cluster;
  json claims = cluster.Claims("shop", "web");
  claims["kubernetes.io"].erase("pod");
  claims["kubernetes.io"].erase("node");
  auto account = Trust(cluster)->Verify(cluster.Sign(claims), kNow);
  ASSERT_TRUE(account.ok());
  EXPECT_EQ(account->pod, "");
}

TEST(TokenIssuers, TimesCountWithTheSkewOfClocks) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  std::string token = cluster.Sign(cluster.Claims("shop", "web"));
  EXPECT_TRUE(issuers->Verify(token, seconds(1000) - kClockSkew).ok());
  ExpectRefused(issuers->Verify(token, seconds(999) - kClockSkew), "not valid for another 31 s");
  EXPECT_TRUE(issuers->Verify(token, seconds(4599) + kClockSkew).ok());
  ExpectRefused(issuers->Verify(token, seconds(4600) + kClockSkew), "expired 30 s ago");
  json claims = cluster.Claims("shop", "web");
  for (const json& moment : {json(), json("4600"), json(-1), json(1e300)}) {
    claims["exp"] = moment;
    ExpectRefused(issuers->Verify(cluster.Sign(claims), kNow), "exp");
  }
}

TEST(TokenIssuers, OnlyTokensForThisAudienceCount) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  json claims = cluster.Claims("shop", "web");
  claims["aud"] = {"https://kubernetes.default.svc", "tarn.dev"};
  EXPECT_TRUE(issuers->Verify(cluster.Sign(claims), kNow).ok());
  claims["aud"] = "tarn.dev";
  EXPECT_TRUE(issuers->Verify(cluster.Sign(claims), kNow).ok());
  for (const json& other :
       {json("tarn.de"), json(json::array()), json({"other"}), json(7), json()}) {
    claims["aud"] = other;
    ExpectRefused(issuers->Verify(cluster.Sign(claims), kNow), "audience 'tarn.dev'");
  }
}

TEST(TokenIssuers, TheKeyIsOneOfTheIssuersOwn) {
  TokenMaker cluster, other;
  TokenMaker second("ES256", "https://second.test");
  auto issuers =
      TokenIssuers::Parse(FileOf({cluster.Entry(), InCluster(second.Entry(), "two")})).value();
  std::string good = cluster.Sign(cluster.Claims("shop", "web"));
  std::string forged = other.Sign(cluster.Claims("shop", "web"));
  ExpectRefused(issuers->Verify(forged, kNow), "not signed by a key of its issuer", forged);
  // A trusted cluster speaks for itself alone.
  std::string foreign = second.Sign(cluster.Claims("shop", "web"));
  ExpectRefused(issuers->Verify(foreign, kNow), "not signed by a key of its issuer", foreign);
  EXPECT_TRUE(issuers->Verify(second.Sign(second.Claims("shop", "web")), kNow).ok());
  TokenMaker stranger("ES256", "https://stranger.test");
  ExpectRefused(issuers->Verify(stranger.Sign(stranger.Claims("shop", "web")), kNow),
                "not among the trusted ones");
  // Each byte that changes makes it another one.
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    if (changed == good) continue;
    auto verified = issuers->Verify(changed, kNow);
    // The last digit of a part may have bits that mean nothing.
    EXPECT_TRUE(!verified || verified->UserName() == "system:serviceaccount:shop:web");
  }
}

TEST(TokenIssuers, EachFurtherIssuerSaysWhoseItIs) {
  TokenMaker own, changed("ES256", "https://new.test"), other("ES256", "https://other.test");
  auto issuers = TokenIssuers::Parse(
      FileOf({own.Entry(), InCluster(changed.Entry(), ""), InCluster(other.Entry(), "east-1")}));
  ASSERT_TRUE(issuers.ok()) << issuers.error().ToString();
  auto space = [&](const TokenMaker& maker) {
    auto account = (*issuers)->Verify(maker.Sign(maker.Claims("shop", "web")), kNow).value();
    return account.Qualified(account.name_space);
  };
  EXPECT_EQ(space(own), "shop");
  EXPECT_EQ(space(changed), "shop");
  EXPECT_EQ(space(other), "east-1:shop");
  for (const json& second : {other.Entry(), InCluster(other.Entry(), "East"),
                             InCluster(other.Entry(), "a/b"), InCluster(other.Entry(), 1)}) {
    auto refused = TokenIssuers::Parse(FileOf({own.Entry(), second}));
    ASSERT_EQ(refused.code(), Code::kInvalid);
    EXPECT_NE(refused.error().message().find("issuers[1].cluster"), std::string::npos);
  }
}

// What parts names in policies is in no name.
TEST(TokenIssuers, ANamespaceIsNoPath) {
  TokenMaker cluster;
  for (const char* name_space : {"a/b", "east:a"}) {
    ExpectRefused(Trust(cluster)->Verify(cluster.Sign(cluster.Claims(name_space, "web")), kNow),
                  "names no namespace");
  }
}

TEST(TokenIssuers, KeysAreRotated) {
  TokenMaker cluster;
  std::string before = cluster.Sign(cluster.Claims("shop", "web"));
  auto old = Trust(cluster);
  cluster.AddKey("RS256");
  std::string after = cluster.Sign(cluster.Claims("shop", "web"));
  auto both = Trust(cluster);
  EXPECT_TRUE(both->Verify(before, kNow).ok());
  EXPECT_TRUE(both->Verify(after, kNow).ok());
  ExpectRefused(old->Verify(after, kNow), "not signed by a key of its issuer", after);
}

TEST(TokenIssuers, NoSignatureAndSharedSecretsAreNoProof) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  std::string good = cluster.Sign(cluster.Claims("shop", "web"));
  std::string body = good.substr(good.find('.'), good.rfind('.') - good.find('.'));
  // {"alg":"none"}, {"alg":"HS256"}, {}
  for (const char* header : {"eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9", "e30"}) {
    ExpectRefused(issuers->Verify(header + body + ".AAAA", kNow), "alg");
  }
  ExpectRefused(issuers->Verify("eyJhbGciOiJub25lIn0" + body + ".", kNow), "three parts");
  TokenMaker shared("HS256");
  EXPECT_EQ(TokenIssuers::Parse(shared.File()).code(), Code::kInvalid);
  json entry = shared.Entry();
  entry["jwks"]["keys"].push_back(cluster.Entry()["jwks"]["keys"][0]);
  auto mixed = TokenIssuers::Parse(json({{"issuers", {entry}}}).dump()).value();
  ExpectRefused(mixed->Verify(shared.Sign(shared.Claims("shop", "web")), kNow), "alg");
}

TEST(TokenIssuers, ATokenNamesOneServiceAccount) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  json claims = cluster.Claims("shop", "web");
  claims["sub"] = "system:serviceaccount:kube-system:admin";
  ExpectRefused(issuers->Verify(cluster.Sign(claims), kNow), "sub");
  claims = cluster.Claims("shop", "web");
  claims.erase("kubernetes.io");
  ExpectRefused(issuers->Verify(cluster.Sign(claims), kNow), "kubernetes.io");
}

TEST(TokenIssuers, BytesThatAreNoToken) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  std::string good = cluster.Sign(cluster.Claims("shop", "web"));
  for (const std::string& bad : {std::string(), std::string("a.b"), std::string("a.b.c.d"),
                                 std::string("..."), std::string("!!.??.~~"), std::string(1, '\0'),
                                 good + ".x", "." + good, std::string("W10.W10.AAAA")}) {
    ExpectRefused(issuers->Verify(bad, kNow), "JSON Web Token");
  }
  ExpectRefused(issuers->Verify(std::string(kTokenBytesMax + 1, 'a'), kNow), "16 KiB");
  std::string critical =
      cluster.SignText(cluster.Claims("shop", "web").dump(), {{"crit", {"b64"}}});
  ExpectRefused(issuers->Verify(critical, kNow), "crit");
}

TEST(TokenIssuers, ErrorsOfTheFileNameTheField) {
  TokenMaker cluster;
  auto fault = [](const json& file) {
    auto parsed = TokenIssuers::Parse(file.is_string() ? file.get<std::string>() : file.dump());
    EXPECT_EQ(parsed.code(), Code::kInvalid);
    return parsed.ok() ? "" : parsed.error().message();
  };
  auto one = [&](const char* field, const json& value) {
    json entry = InCluster(cluster.Entry(), "");
    entry[field] = value;
    return fault({{"issuers", {cluster.Entry(), entry}}});
  };
  EXPECT_NE(fault("{").find("'issuers'"), std::string::npos);
  EXPECT_NE(fault({{"issuers", 1}}).find("'issuers'"), std::string::npos);
  EXPECT_NE(one("issuer", "").find("issuers[1].issuer"), std::string::npos);
  EXPECT_NE(one("issuer", "https://cluster.test").find("twice"), std::string::npos);
  EXPECT_NE(one("audience", 1).find("issuers[1].audience"), std::string::npos);
  EXPECT_NE(one("jwks", 1).find("issuers[1].jwks.keys"), std::string::npos);
  EXPECT_NE(one("jwks", {{"keys", json::array()}}).find("issuers[1].jwks.keys"), std::string::npos);
  EXPECT_TRUE(TokenIssuers::Parse(R"({"issuers": []})").ok());
}

TEST(TokenIssuers, ManyThreadsVerifyAtOnce) {
  TokenMaker cluster;
  auto issuers = Trust(cluster);
  std::string token = cluster.Sign(cluster.Claims("shop", "web"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) EXPECT_TRUE(issuers->Verify(token, kNow).ok());
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace tarn::identity
