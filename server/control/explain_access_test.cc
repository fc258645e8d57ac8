#include <gmock/gmock.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;

class ExplainAccess : public World {
 protected:
  ExplainAccess() {
    options_.decisions = &journal_;
    Restart();
    id_ = MakeFileSystem("one").file_system_id();
  }

  v1::ExplainAccessRequest Request(const std::string& ap) const {
    v1::ExplainAccessRequest request;
    request.set_file_system_id(id_);
    request.set_access_point_id(ap);
    request.set_service_account("a/web");
    request.set_pod("a/web-0");
    request.set_source_ip("10.0.0.7");
    request.set_secure_transport(true);
    return request;
  }
  // "posix=deny", of all layers.
  static std::vector<std::string> Verdicts(const v1::ExplainAccessResponse& response) {
    std::vector<std::string> all;
    for (const auto& layer : response.layers()) {
      all.push_back(layer.layer() + "=" + layer.verdict());
      EXPECT_EQ(layer.fix().empty(), layer.verdict() == "allow") << layer.rule();
    }
    all.push_back(response.verdict());
    return all;
  }
  static std::string Rule(const v1::ExplainAccessResponse& response, const std::string& layer) {
    for (const auto& one : response.layers()) {
      if (one.layer() == layer) return one.rule();
    }
    return "";
  }
  void PutPolicy(const std::string& text) {
    v1::PutFileSystemPolicyRequest request;
    request.set_file_system_id(id_);
    request.set_policy(text);
    auto put = manager_->PutFileSystemPolicy(request);
    ASSERT_TRUE(put.ok()) << put.error().ToString();
  }
  std::string MakePointFor(uint32_t uid, const std::string& path) {
    auto request = AccessPointRequest(id_, path, path);
    request.mutable_posix_user()->set_uid(uid);
    request.mutable_posix_user()->set_gid(uid);
    return manager_->CreateAccessPoint(request).value().access_point_id();
  }

  audit::Journal journal_{clock_};
  std::string id_;
};

using testing::ElementsAre;

TEST_F(ExplainAccess, AllLayersAllow) {
  auto explained = manager_->ExplainAccess(Request(MakePointFor(1000, "/a")));
  ASSERT_TRUE(explained.ok()) << explained.error().ToString();
  EXPECT_THAT(Verdicts(*explained), ElementsAre("network=allow", "identity=allow", "policy=allow",
                                                "posix=allow", "allow"));
}

TEST_F(ExplainAccess, ThePolicysStatementIsNamed) {
  PutPolicy(R"({"Statement": [
    {"Sid": "Read", "Effect": "Allow", "Principal": "*",
     "Action": "elasticfilesystem:ClientMount"},
    {"Sid": "NotFromA", "Effect": "Deny", "Principal": "*", "Action": "*",
     "Condition": {"StringEquals": {"tarn:Namespace": "x"}}}]})");
  auto explained = manager_->ExplainAccess(Request(MakePointFor(1000, "/a")));
  ASSERT_TRUE(explained.ok()) << explained.error().ToString();
  EXPECT_THAT(Verdicts(*explained), ElementsAre("network=allow", "identity=allow",
                                                "policy=read-only", "posix=allow", "read-only"));
  EXPECT_THAT(Rule(*explained, "policy"), HasSubstr("ClientWrite"));
}

TEST_F(ExplainAccess, ModeBitsAreThoseOfTheDirectoryThatIsOrWillBe) {
  const std::string point = MakePointFor(2000, "/a");  // "/a" will be 1000's, 0750
  auto explained = manager_->ExplainAccess(Request(point));
  EXPECT_THAT(Verdicts(*explained),
              ElementsAre("network=allow", "identity=allow", "policy=allow", "posix=deny", "deny"));
  EXPECT_THAT(Rule(*explained, "posix"), HasSubstr("mode 0750, owner 1000:1000"));
  EXPECT_THAT(Rule(*explained, "posix"), HasSubstr("access point's user is uid 2000"));
  ASSERT_TRUE(manager_->exports().Enter(NumberOf(id_), point).ok());  // now it is there
  EXPECT_EQ(manager_->ExplainAccess(Request(point))->verdict(), "deny");
}

TEST_F(ExplainAccess, ADirectoryThatIsNotThereIsTold) {
  auto request = AccessPointRequest(id_, "t", "/nowhere");
  request.mutable_root_directory()->clear_creation_info();
  const std::string point = manager_->CreateAccessPoint(request).value().access_point_id();
  auto explained = manager_->ExplainAccess(Request(point));
  EXPECT_EQ(explained->verdict(), "deny");
  EXPECT_THAT(Rule(*explained, "posix"), HasSubstr("'/nowhere'"));
}

TEST_F(ExplainAccess, AnAddressInNoSecurityGroupIsTold) {
  v1::CreateMountTargetRequest target;
  target.set_file_system_id(id_);
  target.add_security_groups("10.1.0.0/16");
  ASSERT_TRUE(manager_->CreateMountTarget(target).ok());
  auto explained = manager_->ExplainAccess(Request(""));
  EXPECT_THAT(Rule(*explained, "network"), HasSubstr("10.0.0.7 is in no security group"));
  EXPECT_EQ(explained->verdict(), "deny");
  auto inside = Request("");
  inside.set_source_ip("10.1.0.7");
  EXPECT_EQ(manager_->ExplainAccess(inside)->verdict(), "allow");
}

TEST_F(ExplainAccess, SquashedRootIsNobody) {
  PutPolicy(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action":
    ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]}})");
  auto explained = manager_->ExplainAccess(Request(""));
  EXPECT_THAT(Rule(*explained, "posix"), HasSubstr("uid 65534"));
  EXPECT_EQ(explained->verdict(), "read-only");
}

// A group 0 beside the first one counts as little as with the NFS server.
TEST_F(ExplainAccess, SquashedRootHasNoGroupOfRoots) {
  PutPolicy(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action":
    ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]}})");
  auto made = AccessPointRequest(id_, "g", "/g");
  made.clear_posix_user();
  auto& info = *made.mutable_root_directory()->mutable_creation_info();
  info.set_owner_uid(7);
  info.set_owner_gid(0);
  info.set_permissions("0770");
  auto request = Request(manager_->CreateAccessPoint(made).value().access_point_id());
  request.mutable_user()->set_uid(1000);
  request.mutable_user()->set_gid(1000);
  request.mutable_user()->add_gids(0);
  EXPECT_EQ(manager_->ExplainAccess(request)->verdict(), "deny");
  PutPolicy(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}})");
  EXPECT_EQ(manager_->ExplainAccess(request)->verdict(), "allow");
}

TEST_F(ExplainAccess, TheServersListOfGroupsCounts) {
  options_.settle_groups = [](vfs::Caller& caller) { caller.gids = {0}; };
  Restart();
  vfs::FileSystem& engine = *engine_.GetFileSystem(1).value();
  vfs::AttributeChange change;
  change.mode = 0770;
  const vfs::Caller root{.uid = 0, .gid = 0, .gids = {}};
  ASSERT_TRUE(engine.SetAttributes(root, engine.RealmRoot(vfs::kRootRealm).value(), change).ok());
  auto request = Request("");
  request.mutable_user()->set_uid(1000);
  request.mutable_user()->set_gid(1000);
  auto explained = manager_->ExplainAccess(request);
  EXPECT_EQ(explained->verdict(), "allow");
  EXPECT_THAT(Rule(*explained, "posix"), HasSubstr("--user-groups"));
}

TEST_F(ExplainAccess, AConnectionThatWasRefusedIsRemembered) {
  const std::string point = MakePointFor(1000, "/a");
  audit::Access refused{.layer = audit::Layer::kIdentity,
                        .reason = "its token expired",
                        .file_system_id = id_,
                        .access_point_id = point,
                        .address = "10.0.0.7"};
  journal_.Add(refused);
  auto explained = manager_->ExplainAccess(Request(point));
  EXPECT_THAT(Rule(*explained, "identity"), HasSubstr("its token expired"));
  EXPECT_EQ(explained->verdict(), "deny");
  refused.granted = true;
  refused.pod = "a/web-0";
  journal_.Add(refused);  // it came in since
  EXPECT_EQ(manager_->ExplainAccess(Request(point))->verdict(), "allow");
}

TEST_F(ExplainAccess, BadRequestsAreToldByField) {
  auto request = Request("");
  request.set_source_ip("10.0.0");
  EXPECT_THAT(manager_->ExplainAccess(request).error().message(), HasSubstr("source_ip"));
  EXPECT_EQ(EfsName(manager_->ExplainAccess(Request("fsap-00000000000000000"))),
            "AccessPointNotFound");
  const std::string other = MakeFileSystem("two").file_system_id();
  const std::string point = MakeAccessPoint(other, "t", "/a").access_point_id();
  EXPECT_EQ(EfsName(manager_->ExplainAccess(Request(point))), "AccessPointNotFound");
}

TEST_F(ExplainAccess, DecisionsCanBeAskedForFromWhereOneStopped) {
  for (const char* pod : {"a/one", "a/two"}) {
    journal_.Add({.reason = "so", .file_system_id = id_, .pod = pod});
  }
  v1::DescribeAccessDecisionsRequest request;
  request.set_file_system_id(id_);
  auto all = manager_->DescribeAccessDecisions(request);
  ASSERT_EQ(all->decisions_size(), 2);
  request.set_after(all->decisions(0).sequence());
  auto found = manager_->DescribeAccessDecisions(request);
  ASSERT_EQ(found->decisions_size(), 1);
  EXPECT_EQ(found->decisions(0).pod(), "a/two");
  EXPECT_EQ(found->last(), found->decisions(0).sequence());
  request.set_max_results(1001);
  EXPECT_FALSE(manager_->DescribeAccessDecisions(request).ok());
}

}  // namespace
}  // namespace tarn::control
