#include "operator/server_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/testing/rig.h"
#include "operator/tls_secrets.h"

namespace tarn::op {
namespace {

using testing::HasSubstr;
using testing::Not;

// Of a FileSystem "shared" whose spec names the object "mine".
class ServerFileTest : public testing::Test {
 protected:
  explicit ServerFileTest(size_t index) : file_(ServerFiles()[index]) {}

  void Put(const std::string& text, const std::string& entry) {
    rig_.Delete(file_.Type(), "mine");
    rig_.Create(file_.Type(),
                {{"metadata", {{"name", "mine"}}},
                 {"data", {{entry, file_.secret ? kube::EncodeBase64(text) : text}}}});
    After();
  }
  void Put(const std::string& text) { Put(text, file_.Entry()); }
  void Remove() {
    rig_.Delete(file_.Type(), "mine");
    After();
  }
  // What kRefresh would bring in time.
  void After() {
    rig_.clock_offset += kube::Recent::kFreshSeconds;
    if (!rig_.Gone(kFileSystem, "shared")) rig_.Touch();
  }
  void Create() {
    rig_.Start();
    Json spec = SharedSpec();
    spec[file_.field] = {{"name", "mine"}};
    rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", spec}});
  }
  void Start() {
    Create();
    rig_.SetServing("shared");
    EXPECT_TRUE(
        Eventually([&] { return rig_.Condition(kFileSystem, "shared", "Ready") == "True"; }));
  }
  std::string CopyName() const { return std::string("shared-nfs-") + file_.flag; }
  std::string Copy() { return file_.In(rig_.Get(file_.Type(), CopyName())); }
  std::string Condition(const char* field) {
    return rig_.Condition(kFileSystem, "shared", std::string(file_.title) + "Read", field);
  }
  bool Becomes(const std::string& copy, const std::string& reason) {
    return Eventually([&] { return Copy() == copy && Condition("reason") == reason; });
  }
  const ServerFile& file_;
  Rig rig_;
};

class AccessKeysTest : public ServerFileTest {
 protected:
  AccessKeysTest() : ServerFileTest(0) {}
  static std::string File(const std::string& id) {
    return R"({"accessKeys": [{"id": ")" + id +
           R"(", "secret": "never-seen", "principal": "arn:aws:iam::000000000000:user/backup"}]})";
  }
  const std::string none_ = R"({"accessKeys": []})";
};

class UserGroupsTest : public ServerFileTest {
 protected:
  UserGroupsTest() : ServerFileTest(1) {}
  static std::string File(int gid) {
    return R"({"users": [{"uid": 1000, "gid": 1000, "gids": [)" + std::to_string(gid) + "]}]}";
  }
  // Nobody's word counts for groups then.
  const std::string none_ = R"({"unlisted": "none", "users": []})";
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
  Remove();
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
  Create();
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "shared", "Ready", "reason") == "Conflict"; }));
  EXPECT_EQ(Copy(), "");
}

TEST_F(UserGroupsTest, OfTheConfigMapReachTheServerAndFollowIt) {
  Put(File(2000));
  Start();
  EXPECT_TRUE(Becomes(File(2000), "Read"));
  EXPECT_EQ(Condition("status"), "True");
  Put(File(2001));
  EXPECT_TRUE(Becomes(File(2001), "Read"));
}

// Taken away they would be whatever a call says.
TEST_F(UserGroupsTest, AConfigMapThatIsGoneOrMakesNoSenseChangesNothing) {
  Start();
  EXPECT_TRUE(Becomes(none_, "ConfigMapMissing"));
  EXPECT_THAT(Condition("message"),
              HasSubstr("kubectl -n default create configmap mine --from-file=user-groups.json"));
  Put(File(2000));
  EXPECT_TRUE(Becomes(File(2000), "Read"));
  Remove();
  EXPECT_TRUE(Becomes(File(2000), "ConfigMapMissing"));
  Put(File(2001), "groups.json");
  EXPECT_TRUE(Becomes(File(2000), "EntryMissing"));
  Put(R"({"users": [{"uid": -1}]})");
  EXPECT_TRUE(Becomes(File(2000), "Malformed"));
  EXPECT_THAT(Condition("message"), HasSubstr("uid"));
}

}  // namespace
}  // namespace tarn::op
