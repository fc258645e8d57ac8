// tarnctl whynot against a fake API server on a loopback port, and a real control service.
#include <gmock/gmock.h>

#include <fstream>

#include "cli/testing/tarnctl.h"
#include "operator/kube/testing/fake_cluster.h"
#include "server/audit/journal.h"

namespace tarn::cli {
namespace {

using kube::Json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class WhyNot : public Tarnctl {
 protected:
  WhyNot() : api_(cluster_) {
    options_.decisions = &journal_;
    server_ = nullptr;
    Restart();
    service_ = control::NewService(*manager_);
    server_ =
        rpcs::Server::Start({{.endpoint = Socket(), .tls_dir = {}}}, {service_.get()}).value();
    std::ofstream(dir_ + "/kubeconfig")
        << "{apiVersion: v1, kind: Config, current-context: c,"
        << " contexts: [{name: c, context: {cluster: c, user: u}}],"
        << " clusters: [{name: c, cluster: {server: \"http://127.0.0.1:" << api_.port() << "\"}}],"
        << " users: [{name: u, user: {token: t}}]}";
    fs_ = MakeFileSystem("fs").file_system_id();
    auto request = AccessPointRequest(fs_, "ap", "/ap");
    request.mutable_posix_user()->set_uid(1000);
    request.mutable_posix_user()->set_gid(1000);
    ap_ = manager_->CreateAccessPoint(request)->access_point_id();
    PutClaim("shared", "true");
    cluster_.Put("/api/v1/namespaces/b/pods",
                 Json::parse(R"({"metadata": {"name": "web-0", "namespace": "b"},
                   "spec": {"serviceAccountName": "reader", "containers": [{"name": "c"}],
                            "volumes": [{"persistentVolumeClaim": {"claimName": "shared"}}]},
                   "status": {"hostIP": "10.0.0.7"}})"));
  }

  void PutClaim(const std::string& name, const std::string& encrypted,
                const std::string& attribute = "encryptInTransit") {
    cluster_.Put("/api/v1/namespaces/b/persistentvolumeclaims",
                 {{"metadata", {{"name", name}, {"namespace", "b"}}},
                  {"spec", {{"volumeName", "pv-" + name}}}});
    cluster_.Put("/api/v1/persistentvolumes",
                 {{"metadata", {{"name", "pv-" + name}}},
                  {"spec",
                   {{"csi",
                     {{"volumeHandle", "efs:" + fs_ + "::" + ap_},
                      {"volumeAttributes", {{attribute, encrypted}}}}}}}});
  }
  void PutPolicy(const std::string& text) {
    control::v1::PutFileSystemPolicyRequest request;
    request.set_file_system_id(fs_);
    request.set_policy(text);
    ASSERT_TRUE(manager_->PutFileSystemPolicy(request).ok());
  }
  int Ask(const std::string& pod, const std::string& claim) {
    return Run({"whynot", pod, claim, "-n", "b", "--kubeconfig", dir_ + "/kubeconfig"});
  }

  ManualClock clock_;
  audit::Journal journal_{clock_};
  kube::FakeCluster cluster_;
  kube::FakeServer api_;
  std::string fs_, ap_;
};

TEST_F(WhyNot, AllLayersAllow) {
  EXPECT_EQ(Ask("web-0", "shared"), 0) << err_ << out_;
  EXPECT_THAT(out_, AllOf(HasSubstr("ServiceAccount b/reader"), HasSubstr("=> allow"),
                          HasSubstr(ap_), Not(HasSubstr("fix:"))));
}

TEST_F(WhyNot, TheStatementAndTheFixAreTold) {
  PutPolicy(R"({"Statement": {"Sid": "OnlyA", "Effect": "Allow", "Principal": "*", "Action": "*",
    "Condition": {"StringEquals": {"tarn:Namespace": "a"}}}})");
  EXPECT_EQ(Ask("web-0", "shared"), 1);
  EXPECT_THAT(out_, AllOf(HasSubstr("policy    deny"), HasSubstr("posix     allow"),
                          HasSubstr("fix: change the policy"), HasSubstr("=> deny")));
}

TEST_F(WhyNot, WhatHappenedLastIsTold) {
  journal_.Add({.reason = "statement 1 'No'", .file_system_id = fs_, .pod = "b/web-0"});
  EXPECT_EQ(Ask("web-0", "shared"), 0);
  EXPECT_THAT(out_, HasSubstr("denied by policy: statement 1 'No'"));
}

TEST_F(WhyNot, AMountInTheClearIsAnonymous) {
  PutClaim("clear", "false");
  PutPolicy(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "true"}}}})");
  EXPECT_EQ(Ask("web-0", "clear"), 1);
  // As the CSI driver takes it, in any case and word.
  for (const char* word : {"F", "0", "False"}) {
    PutClaim("clear", word, "ENCRYPTinTransit");
    EXPECT_EQ(Ask("web-0", "clear"), 1) << word;
  }
  EXPECT_THAT(out_, AllOf(HasSubstr("in the clear"), HasSubstr("no volume of that claim"),
                          HasSubstr("=> deny")));
}

TEST_F(WhyNot, WhatIsMissingIsNamed) {
  EXPECT_EQ(Ask("web-1", "shared"), 1);
  EXPECT_THAT(err_, HasSubstr("there is no Pod b/web-1"));
  EXPECT_EQ(Ask("web-0", "other"), 1);
  EXPECT_THAT(err_, HasSubstr("there is no PersistentVolumeClaim b/other"));
  cluster_.Put("/api/v1/namespaces/b/persistentvolumeclaims",
               {{"metadata", {{"name", "new"}, {"namespace", "b"}}}, {"spec", Json::object()}});
  EXPECT_EQ(Ask("web-0", "new"), 1);
  EXPECT_THAT(err_, HasSubstr("is not bound"));
}

}  // namespace
}  // namespace tarn::cli
