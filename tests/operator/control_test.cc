// The operator's client of the control API against the real service, with certificates of the
// operator's own authority.
#include "operator/control.h"

#include <gmock/gmock.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/control_role.h"
#include "common/grpc/server.h"
#include "operator/pki.h"
#include "server/control/manager.h"
#include "server/control/service.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::op {
namespace {

const std::string kId = "fs-0123456789abcdef0";

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tarn-operator-control-XXXXXX";
    dir_ = mkdtemp(name);
    ca_ = *MakeCa("test authority", time(nullptr));
    KeyPair leaf = *MakeLeaf(
        ca_, {.common_name = kId, .dns_names = {}, .ip_addresses = {"127.0.0.1"}, .server = true},
        time(nullptr));
    Write("ca.crt", ca_.certificate);
    Write("tls.crt", leaf.certificate);
    Write("tls.key", leaf.key);
    engine_ = engine::NewMemoryEngine(clock_);
    auto manager = control::Manager::Open(*engine_, clock_, {});
    ASSERT_TRUE(manager.ok()) << manager.error().ToString();
    manager_ = std::move(*manager);
    ASSERT_TRUE(manager_->EnsureDefaultFileSystem(kId).ok());
    service_ = control::NewService(*manager_);
    auto server =
        rpcs::Server::Start({{.endpoint = "127.0.0.1:0", .tls_dir = dir_}}, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
    address_ = "127.0.0.1:" + std::to_string(server_->port(0));
    api_ = NewGrpcControl();
  }
  void TearDown() override {
    server_ = nullptr;
    std::filesystem::remove_all(dir_);
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }
  void Introduce(const KeyPair& ca) {
    KeyPair client = *MakeLeaf(ca,
                               {.common_name = "operator",
                                .dns_names = {},
                                .ip_addresses = {},
                                .uris = {UriOf(ControlRole::kOperator)}},
                               time(nullptr));
    api_->SetCredentials({ca_.certificate, client.certificate, client.key});
  }
  AccessPointSpec Spec() {
    AccessPointSpec spec;
    spec.client_token = "uid-1";
    spec.file_system_id = kId;
    spec.user = AccessPointUser{1000, 1001, {7}};
    spec.path = "/web";
    spec.creation = AccessPointCreation{1000, 1001, "0750"};
    spec.quota_bytes = 1 << 20;
    spec.tags = {{"Name", "web"}};
    return spec;
  }

  std::string dir_;
  KeyPair ca_;
  ManualClock clock_;
  std::unique_ptr<vfs::Engine> engine_;
  std::unique_ptr<control::Manager> manager_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpcs::Server> server_;
  std::string address_;
  std::unique_ptr<ControlApi> api_;
};

TEST_F(ControlTest, NobodyWithoutOurCertificateIsServed) {
  EXPECT_EQ(api_->DescribeFileSystem(address_, kId).code(), Code::kUnavailable);
  Introduce(*MakeCa("stranger", time(nullptr)));
  EXPECT_EQ(api_->DescribeFileSystem(address_, kId).code(), Code::kUnavailable);
  Introduce(ca_);
  EXPECT_TRUE(api_->DescribeFileSystem(address_, kId).ok());
}

TEST_F(ControlTest, DescribesAndConfiguresItsFileSystem) {
  Introduce(ca_);
  auto facts = api_->DescribeFileSystem(address_, kId);
  ASSERT_TRUE(facts.ok()) << facts.error().ToString();
  EXPECT_EQ(facts->life_cycle_state, "available");
  EXPECT_EQ(api_->DescribeFileSystem(address_, "fs-00000000000000000").code(), Code::kNotFound);
  auto changed = api_->UpdateThroughput(address_, kId, "provisioned", 64);
  ASSERT_TRUE(changed.ok()) << changed.error().ToString();
  facts = api_->DescribeFileSystem(address_, kId);
  EXPECT_EQ(facts->throughput_mode, "provisioned");
  EXPECT_EQ(facts->provisioned_mibps, 64);
  EXPECT_TRUE(api_->PutLifecycle(address_, kId, {"AFTER_30_DAYS", "", "AFTER_1_ACCESS"}).ok());
  EXPECT_TRUE(api_->PutLifecycle(address_, kId, {}).ok());
  EXPECT_EQ(api_->PutLifecycle(address_, kId, {"AFTER_2_DAYS", "", ""}).code(), Code::kInvalid);
}

TEST_F(ControlTest, PoliciesAreMadeExactlyWhatIsAskedFor) {
  Introduce(ca_);
  const std::string first =
      R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}})";
  const std::string second =
      R"({"Statement": {"Effect": "Allow", "Principal": {"ServiceAccount": "*"}, "Action": "*"}})";
  control::v1::DescribeFileSystemPolicyRequest request;
  request.set_file_system_id(kId);
  for (const std::string& policy : {first, first, second}) {
    ASSERT_TRUE(api_->SetPolicy(address_, kId, policy).ok());
    EXPECT_EQ(manager_->DescribeFileSystemPolicy(request)->policy(), policy);
  }
  auto refused = api_->SetPolicy(address_, kId, "{}");
  EXPECT_EQ(refused.code(), Code::kInvalid);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("has no Statement"));
  EXPECT_EQ(manager_->DescribeFileSystemPolicy(request)->policy(), second);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(api_->SetPolicy(address_, kId, "").ok());
  EXPECT_EQ(manager_->DescribeFileSystemPolicy(request).code(), Code::kNotFound);
}

TEST_F(ControlTest, AnAccessPointIsMadeOnceAndFoundAgain) {
  Introduce(ca_);
  auto made = api_->CreateAccessPoint(address_, Spec());
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  EXPECT_EQ(made->quota_bytes, 1u << 20);
  EXPECT_EQ(api_->CreateAccessPoint(address_, Spec())->id, made->id);
  AccessPointSpec other = Spec();
  other.quota_bytes = 2 << 20;
  EXPECT_EQ(api_->CreateAccessPoint(address_, other).code(), Code::kAlreadyExists);
  EXPECT_EQ(api_->FindAccessPoint(address_, kId, "uid-1")->id, made->id);
  EXPECT_EQ(api_->FindAccessPoint(address_, kId, "uid-2").code(), Code::kNotFound);
  auto updated = api_->UpdateAccessPoint(address_, made->id, 2 << 20, 10);
  ASSERT_TRUE(updated.ok()) << updated.error().ToString();
  EXPECT_EQ(updated->quota_files, 10u);
  EXPECT_EQ(api_->DescribeAccessPoint(address_, made->id)->quota_bytes, 2u << 20);
  ASSERT_TRUE(api_->DeleteAccessPoint(address_, made->id, false).ok());
  EXPECT_EQ(api_->DescribeAccessPoint(address_, made->id).code(), Code::kNotFound);
  EXPECT_EQ(api_->DeleteAccessPoint(address_, made->id, false).code(), Code::kNotFound);
}

TEST_F(ControlTest, SecurityGroupsBecomeExactlyWhatIsWanted) {
  Introduce(ca_);
  std::string target = "fsmt-0123456789abcdef0";
  auto may = [&](const char* ip) {
    return manager_->exports().MayConnect(control::kDefaultListenerTag, IpAddress::Parse(ip));
  };
  EXPECT_TRUE(may("1.2.3.4"));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(api_->SetSecurityGroups(address_, kId, target, {"10.0.0.0/8", "11.0.0.1"}).ok());
    EXPECT_TRUE(may("10.1.1.1") && may("11.0.0.1"));
    EXPECT_FALSE(may("1.2.3.4"));
  }
  ASSERT_TRUE(api_->SetSecurityGroups(address_, kId, target, {"11.0.0.1"}).ok());
  EXPECT_FALSE(may("10.1.1.1"));
  EXPECT_EQ(api_->SetSecurityGroups(address_, kId, target, {"pods"}).code(), Code::kInvalid);
}

TEST_F(ControlTest, TagsBecomeExactlyWhatIsWanted) {
  Introduce(ca_);
  ASSERT_TRUE(api_->SetTags(address_, kId, {{"a", "1"}, {"b", "2"}}).ok());
  ASSERT_TRUE(api_->SetTags(address_, kId, {{"b", "3"}, {"c", "4"}}).ok());
  control::v1::ListTagsForResourceRequest request;
  request.set_resource_id(kId);
  auto listed = manager_->ListTagsForResource(request);
  ASSERT_TRUE(listed.ok());
  std::map<std::string, std::string> tags;
  for (const auto& tag : listed->tags()) tags[tag.key()] = tag.value();
  EXPECT_THAT(tags, testing::ElementsAre(testing::Pair("b", "3"), testing::Pair("c", "4")));
}

}  // namespace
}  // namespace tarn::op
