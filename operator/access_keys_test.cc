#include "operator/access_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/testing/rig.h"
#include "operator/tls_secrets.h"

namespace tarn::op {
namespace {

using testing::HasSubstr;
using testing::Not;

class AccessKeysTest : public testing::Test {
 protected:
  static std::string File(const std::string& id) {
    return R"({"accessKeys": [{"id": ")" + id +
           R"(", "secret": "never-seen", "principal": "arn:aws:iam::000000000000:user/backup"}]})";
  }
  void Put(const std::string& text, const char* entry = "access-keys.json") {
    rig_.Delete(kSecret, "mine");
    rig_.Create(kSecret,
                {{"metadata", {{"name", "mine"}}}, {"data", {{entry, kube::EncodeBase64(text)}}}});
    After();
  }
  // What kRefresh would bring in time.
  void After() {
    rig_.clock_offset += kube::Recent::kFreshSeconds;
    if (rig_.Gone(kFileSystem, "shared")) return;
    rig_.Change(kFileSystem, {{"metadata",
                               {{"name", "shared"},
                                {"namespace", "default"},
                                {"annotations", {{"at", std::to_string(rig_.clock_offset)}}}}}});
  }
  void Start() {
    rig_.Start();
    Json spec = SharedSpec();
    spec["accessKeysSecretRef"] = {{"name", "mine"}};
    rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", spec}});
    rig_.SetServing("shared");
    EXPECT_TRUE(
        Eventually([&] { return rig_.Condition(kFileSystem, "shared", "Ready") == "True"; }));
  }
  std::string Copy() {
    return SecretEntry(rig_.Get(kSecret, "shared-nfs-access-keys"), kAccessKeysEntry);
  }
  std::string Condition(const char* field) {
    return rig_.Condition(kFileSystem, "shared", "AccessKeysRead", field);
  }
  bool Becomes(const std::string& copy, const std::string& reason) {
    return Eventually([&] { return Copy() == copy && Condition("reason") == reason; });
  }
  const std::string none_ = R"({"accessKeys": []})";
  Rig rig_;
};

TEST_F(AccessKeysTest, OfTheSecretReachTheServerAndFollowIt) {
  Put(File("AKIAONE"));
  Start();
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Read"));
  EXPECT_EQ(Condition("status"), "True");
  Json copy = rig_.Get(kSecret, "shared-nfs-access-keys");
  EXPECT_EQ(copy["metadata"]["ownerReferences"][0]["kind"], "FileSystem");
  Put(File("AKIATWO"));
  EXPECT_TRUE(Becomes(File("AKIATWO"), "Read"));
}

TEST_F(AccessKeysTest, ASecretThatIsGoneTakesThemAway) {
  Start();
  EXPECT_TRUE(Becomes(none_, "SecretMissing"));
  EXPECT_THAT(Condition("message"),
              HasSubstr("kubectl -n default create secret generic mine --from-file"));
  Put(File("AKIAONE"));
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Read"));
  Put(File("AKIAONE"), "keys.json");
  EXPECT_TRUE(Becomes(none_, "EntryMissing"));
  Put(File("AKIAONE"));
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Read"));
  rig_.Delete(kSecret, "mine");
  After();
  EXPECT_TRUE(Becomes(none_, "SecretMissing"));
}

TEST_F(AccessKeysTest, ASecretThatMakesNoSenseChangesNothingAndIsToldWithoutAKey) {
  Put("{");
  Start();
  EXPECT_TRUE(Becomes(none_, "Malformed"));
  Put(File("AKIAONE"));
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Read"));
  Put(R"({"accessKeys": [{"id": "AKIATWO", "secret": "never-seen", "principal": "me"}]})");
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Malformed"));
  EXPECT_THAT(Condition("message"), HasSubstr("principal"));
  EXPECT_THAT(Condition("message"), Not(HasSubstr("never-seen")));
}

TEST_F(AccessKeysTest, WithoutTheFieldThereIsNoCopyOrAnEmptyOne) {
  Put(File("AKIAONE"));
  rig_.Start();
  rig_.MakeShared();
  EXPECT_TRUE(rig_.Gone(kSecret, "shared-nfs-access-keys"));
  Json shared = {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                 {"spec", {{"accessKeysSecretRef", {{"name", "mine"}}}}}};
  rig_.Change(kFileSystem, shared);
  EXPECT_TRUE(Becomes(File("AKIAONE"), "Read"));
  shared["spec"]["accessKeysSecretRef"] = nullptr;
  rig_.Change(kFileSystem, shared);
  EXPECT_TRUE(Becomes(none_, ""));
}

TEST_F(AccessKeysTest, SomebodyElsesSecretIsNotTakenOver) {
  Put(File("AKIAONE"));
  rig_.Create(kSecret, {{"metadata", {{"name", "shared-nfs-access-keys"}}},
                        {"data", {{"a", kube::EncodeBase64("b")}}}});
  rig_.Start();
  Json spec = SharedSpec();
  spec["accessKeysSecretRef"] = {{"name", "mine"}};
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", spec}});
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "shared", "Ready", "reason") == "Conflict"; }));
  EXPECT_EQ(Copy(), "");
}

}  // namespace
}  // namespace tarn::op
