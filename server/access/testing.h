// A control plane, an NFS server and clients with certificates and tokens, over real sockets.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/access/access_control.h"
#include "server/control/manager.h"
#include "server/engine/memory/memory_engine.h"
#include "server/identity/testing/token_maker.h"
#include "server/nfs4/server.h"
#include "server/policy/presets.h"
#include "server/rpc/server.h"
#include "server/rpc/testing/tls.h"
#include "tests/nfs/client/client.h"

namespace tarn::access::testing {

namespace v1 = control::v1;
using nfs_client::Client;
using nlohmann::json;
using rpc::testing::ClientKey;
using tls::CertificateIdentity;

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    issuers_ = identity::TokenIssuers::Parse(cluster_.File()).value();
    manager_ = control::Manager::Open(*engine_, SystemClock(), {}).value();
    access_ = std::make_unique<AccessControl>(
        manager_->exports(), manager_->policies(),
        AccessControl::Trusted{.issuers = [this] { return issuers_; },
                               .access_keys = [this] { return access_keys_; },
                               .user_groups = [this] { return user_groups_; }},
        SystemClock(), journal_);
    nfs_ = nfs4::Server::Start({}, *access_, engine_->records(), SystemClock()).value();
    rpc_ =
        rpc::Server::Start({}, *nfs_, {.tls = certificates_.Open(), .gate = access_.get()}).value();
    port_ = rpc_->Listen("127.0.0.1", 0, control::kDefaultListenerTag)->port;
    manager_->Serve(*rpc_);
    v1::CreateFileSystemRequest request;
    request.set_creation_token("fs");
    fs_ = manager_->CreateFileSystem(request)->file_system_id();
    v1::CreateMountTargetRequest target;
    target.set_file_system_id(fs_);
    mount_target_ = manager_->CreateMountTarget(target)->mount_target_id();
  }
  ~AccessTest() override {
    manager_->StopServing();
    rpc_ = nullptr;
  }

  std::string MakeAccessPoint(const std::string& name, uint32_t uid = 1000) {
    v1::CreateAccessPointRequest request;
    request.set_file_system_id(fs_);
    request.set_client_token(name);
    request.mutable_root_directory()->set_path("/" + name);
    auto& creation = *request.mutable_root_directory()->mutable_creation_info();
    creation.set_owner_uid(uid);
    creation.set_owner_gid(uid);
    creation.set_permissions("0755");
    request.mutable_posix_user()->set_uid(uid);
    request.mutable_posix_user()->set_gid(uid);
    return manager_->CreateAccessPoint(request)->access_point_id();
  }
  void PutPolicy(const std::string& policy) {
    v1::PutFileSystemPolicyRequest request;
    request.set_file_system_id(fs_);
    request.set_policy(policy);
    auto put = manager_->PutFileSystemPolicy(request);
    ASSERT_TRUE(put.ok()) << put.error().ToString();
  }
  void SetGroups(const std::vector<std::string>& ranges) {
    v1::ModifyMountTargetSecurityGroupsRequest request;
    request.set_mount_target_id(mount_target_);
    request.mutable_security_groups()->Add(ranges.begin(), ranges.end());
    auto set = manager_->ModifyMountTargetSecurityGroups(request);
    ASSERT_TRUE(set.ok()) << set.error().ToString();
  }
  void PutPreset(const policy::Preset& preset) { PutPolicy(policy::MakePolicy(preset).value()); }

  // A token as the cluster gives one now.
  json Claims(const std::string& name_space, const std::string& account, int64_t seconds = 600) {
    json claims = cluster_.Claims(name_space, account);
    auto now = std::chrono::duration_cast<std::chrono::seconds>(SystemClock().Now()).count();
    claims["nbf"] = claims["iat"] = now - 10;
    claims["exp"] = now + seconds;
    return claims;
  }
  std::string Token(const std::string& name_space, const std::string& account) {
    return cluster_.Sign(Claims(name_space, account));
  }

  nfs_client::ClientOptions Plain() {
    nfs_client::ClientOptions options;
    options.port = port_;
    options.owner = "client " + std::to_string(++clients_);
    return options;
  }
  nfs_client::ClientOptions Tls(const CertificateIdentity& identity = {}) {
    ClientKey key(identity);
    auto options = Plain();
    options.address = "127.0.0.1";
    options.tls = tls::ClientTlsOptions{
        .ca_pem = certificates_.ca(), .certificate_pem = key.certificate, .key_pem = key.key};
    return options;
  }
  nfs_client::ClientOptions As(const std::string& token, const std::string& access_point = "") {
    CertificateIdentity identity;
    identity.file_system_id = fs_;
    identity.token = token;
    if (!access_point.empty()) identity.access_point_id = access_point;
    return Tls(identity);
  }
  static std::unique_ptr<Client> Connect(const nfs_client::ClientOptions& options) {
    auto client = Client::Mount(options);
    EXPECT_EQ(client.status, nfs4::NFS4_OK);
    return std::move(client.value);
  }
  // Not even a client id.
  static bool TurnedAway(const nfs_client::ClientOptions& options) {
    return Client::Mount(options).status == nfs_client::kNoAnswer;
  }
  static nfs4::nfsstat4 RootOf(Client& client) { return client.Root().status; }
  static nfs4::nfsstat4 MakeIn(Client& client, const std::string& name) {
    auto root = client.Root();
    return root.status != nfs4::NFS4_OK ? root.status : client.Mkdir(*root, name).status;
  }

  // The last `count` entries of the journal, in words.
  std::vector<std::string> Audited(size_t count) const {
    std::vector<std::string> lines;
    for (const auto& entry : journal_.Recent({.file_system_id = fs_, .max = count})) {
      const audit::Access& access = entry.access;
      lines.push_back(access.service_account + " " + access.transport +
                      (access.granted ? " granted"
                                      : std::string(" denied by ") + audit::Name(access.layer) +
                                            ": " + access.reason));
    }
    return lines;
  }

  audit::Journal journal_{SystemClock()};
  identity::TokenMaker cluster_;
  rpc::testing::TlsDir certificates_;
  std::shared_ptr<const identity::TokenIssuers> issuers_;
  std::shared_ptr<const identity::AccessKeys> access_keys_;  // null: signatures are not looked at
  std::shared_ptr<const identity::UserGroups> user_groups_;  // null: calls are believed
  std::unique_ptr<vfs::Engine> engine_ = engine::NewMemoryEngine(SystemClock());
  std::unique_ptr<control::Manager> manager_;
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<nfs4::Server> nfs_;
  std::unique_ptr<rpc::Server> rpc_;
  std::string fs_, mount_target_;
  uint16_t port_ = 0;
  int clients_ = 0;
};

}  // namespace tarn::access::testing
