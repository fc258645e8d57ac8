#include "mount/identity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace tarn::mount {
namespace {

using Kind = IdentitySource::Kind;

struct IdentityTest : testing::Test {
  IdentityTest() {
    std::string name = "/tmp/tarn-mount-XXXXXX";
    dir = mkdtemp(name.data());
    variables = {{"AWS_SHARED_CREDENTIALS_FILE", dir + "/credentials"},
                 {"AWS_CONFIG_FILE", dir + "/config"}};
  }
  ~IdentityTest() override { std::filesystem::remove_all(dir); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(dir + "/" + name) << text;
  }
  Result<IdentitySource> Choose(const std::string& options) {
    return ChooseIdentity(ParseOptions({options}).value(), environment);
  }

  std::string dir;
  std::map<std::string, std::string> variables;
  Environment environment = [this](const std::string& name) { return variables[name]; };
};

TEST_F(IdentityTest, IsNobodyWithoutIam) {
  variables["AWS_ACCESS_KEY_ID"] = "AKIA1";
  EXPECT_EQ(Choose("tls")->kind, Kind::kNobody);
}

TEST_F(IdentityTest, TheFirstThatThereIsCounts) {
  auto none = Choose("tls,iam");
  EXPECT_EQ(none.code(), Code::kUnauthenticated);
  EXPECT_NE(none.error().message().find("jwtpath"), std::string::npos);
  Write("credentials",
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = s1\n"
        "[temporary]\naws_access_key_id=ASIA1\naws_secret_access_key=s2\naws_session_token=t=\n");
  Write("config", "[profile web]\naws_access_key_id=AKIAWEB\naws_secret_access_key=s3\n");
  EXPECT_EQ(Choose("tls,iam")->profile, "default");
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = dir + "/token";
  EXPECT_EQ(Choose("tls,iam")->token_file, dir + "/token");
  variables["AWS_ACCESS_KEY_ID"] = "AKIAENV";
  EXPECT_EQ(Choose("tls,iam")->kind, Kind::kEnvironment);
  EXPECT_EQ(Choose("tls,iam,awsprofile=temporary")->profile, "temporary");
  EXPECT_EQ(Choose("tls,iam,awsprofile=temporary,jwtpath=/j")->token_file, "/j");
  auto missing = Choose("tls,iam,awsprofile=nobody");
  EXPECT_EQ(missing.code(), Code::kUnauthenticated);
  EXPECT_NE(missing.error().message().find("\"nobody\""), std::string::npos);

  auto credential = ReadCredential(Choose("tls,iam,awsprofile=temporary").value(), environment);
  ASSERT_TRUE(credential.ok());
  EXPECT_EQ(credential->access_key_id, "ASIA1");
  EXPECT_TRUE(credential->secret.Equals("s2"));
  EXPECT_TRUE(credential->session_token->Equals("t="));
  credential = ReadCredential(Choose("tls,iam,awsprofile=web").value(), environment);
  EXPECT_EQ(credential->access_key_id, "AKIAWEB");
}

TEST_F(IdentityTest, ReadsTokens) {
  // {"exp":1700000000,"sub":"a"} and {"sub":"a"}
  const std::string token = "e30.eyJleHAiOjE3MDAwMDAwMDAsInN1YiI6ImEifQ.c2ln";
  Write("token", token + "\n");
  auto source = Choose("tls,iam,jwtpath=" + dir + "/token").value();
  auto credential = ReadCredential(source, environment);
  ASSERT_TRUE(credential.ok());
  EXPECT_TRUE(credential->token.Equals(token));
  EXPECT_EQ(credential->expires->time_since_epoch().count(), 1700000000);
  EXPECT_FALSE(ExpiryOf("e30.eyJzdWIiOiJhIn0.c2ln"));
  for (const char* none : {"", "a", "a.b.c", "..", "a.b", "e30.bm8.x", "e30.!!!!.x"}) {
    EXPECT_FALSE(ExpiryOf(none)) << none;
  }
  for (const std::string& bad : {std::string(), std::string("a\nb"), std::string(20000, 'a')}) {
    Write("token", bad);
    EXPECT_EQ(ReadCredential(source, environment).code(), Code::kUnauthenticated);
  }
  std::filesystem::remove(dir + "/token");
  EXPECT_EQ(ReadCredential(source, environment).code(), Code::kUnauthenticated);
}

}  // namespace
}  // namespace tarn::mount
