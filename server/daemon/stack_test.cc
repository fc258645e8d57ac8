// The whole server in one process: resources made by the control API, seen by an NFS client over a
// real socket, on both engines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "server/control/manager.h"
#include "server/daemon/engines.h"
#include "server/daemon/testing/server_process.h"
#include "server/nfs4/server.h"
#include "server/rpc/server.h"
#include "tests/nfs/client/client.h"

namespace tarn::daemon {
namespace {

namespace v1 = control::v1;
using nfs_client::Bytes;
using nfs_client::Client;
using nfs_client::Fh;

class Stack : public testing::TestWithParam<const char*> {
 protected:
  Stack() {
    engine_ = OpenEngine(GetParam(), dir_ / "data", 64, SystemClock()).value();
    Start();
  }
  ~Stack() override { Stop(); }

  void Start() {
    manager_ = control::Manager::Open(*engine_, SystemClock(), {}).value();
    nfs4::ServerOptions options;
    options.lease = std::chrono::seconds{1};  // so that grace is short after a restart
    nfs_ = nfs4::Server::Start(options, manager_->exports(), engine_->records(), SystemClock())
               .value();
    rpc_ = rpc::Server::Start({}, *nfs_).value();
    port_ = rpc_->Listen("127.0.0.1", 0, control::kDefaultListenerTag)->port;
    manager_->Serve(*rpc_);
  }
  void Stop() {
    manager_->StopServing();
    rpc_ = nullptr;
    nfs_ = nullptr;
    manager_ = nullptr;
  }

  std::string MakeFileSystem(const std::string& token) {
    v1::CreateFileSystemRequest request;
    request.set_creation_token(token);
    return manager_->CreateFileSystem(request)->file_system_id();
  }
  void OnDefaultListener(const std::string& fs) {
    v1::CreateMountTargetRequest request;
    request.set_file_system_id(fs);
    ASSERT_TRUE(manager_->CreateMountTarget(request).ok());
  }
  v1::AccessPointDescription MakeAccessPoint(const std::string& fs, const std::string& token,
                                             const std::string& path, uint64_t quota = 0) {
    v1::CreateAccessPointRequest request;
    request.set_file_system_id(fs);
    request.set_client_token(token);
    request.mutable_root_directory()->set_path(path);
    auto& creation = *request.mutable_root_directory()->mutable_creation_info();
    creation.set_owner_uid(1000);
    creation.set_owner_gid(1001);
    creation.set_permissions("0750");
    request.mutable_posix_user()->set_uid(1000);
    request.mutable_posix_user()->set_gid(1001);
    request.set_quota_bytes(quota);
    return manager_->CreateAccessPoint(request).value();
  }
  v1::AccessPointDescription Describe(const std::string& id) {
    v1::DescribeAccessPointsRequest request;
    request.set_access_point_id(id);
    return manager_->DescribeAccessPoints(request)->access_points(0);
  }
  std::unique_ptr<Client> Mount(uint16_t port, const std::string& owner = "client") {
    nfs_client::ClientOptions options;
    options.port = port;
    options.owner = owner;
    auto client = Client::Mount(options);
    EXPECT_EQ(client.status, nfs4::NFS4_OK);
    return std::move(client.value);
  }

  TempDir dir_;
  std::unique_ptr<vfs::Engine> engine_;
  std::unique_ptr<control::Manager> manager_;
  std::unique_ptr<nfs4::Server> nfs_;
  std::unique_ptr<rpc::Server> rpc_;
  uint16_t port_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Engines, Stack, testing::Values("memory", "local"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Stack, AnAccessPointIsAWayInThatLeadsNowhereElse) {
  std::string fs = MakeFileSystem("one");
  OnDefaultListener(fs);
  std::string one = MakeAccessPoint(fs, "one", "/volumes/one").access_point_id();
  std::string two = MakeAccessPoint(fs, "two", "/volumes/two").access_point_id();
  auto client = Mount(port_);
  auto root = client->Walk(one);
  ASSERT_EQ(root.status, nfs4::NFS4_OK);
  auto attributes = client->GetAttributes(*root);
  EXPECT_EQ(attributes->mode & 07777, 0750u);
  EXPECT_EQ(attributes->owner, "1000");
  EXPECT_EQ(client->LookupParent(*root).status, nfs4::NFS4ERR_NOENT);
  EXPECT_EQ(client->Lookup(*root, two).status, nfs4::NFS4ERR_NOENT);
  auto made = client->Mkdir(*root, "made");
  ASSERT_EQ(made.status, nfs4::NFS4_OK);
  EXPECT_EQ(client->GetAttributes(*made)->owner, "1000") << "root's identity is replaced";
  EXPECT_EQ(client->Walk("volumes/one/made").status, nfs4::NFS4_OK);
  EXPECT_EQ(client->Walk("volumes/two").status, nfs4::NFS4ERR_NOENT) << "not used yet";
  EXPECT_EQ(Describe(one).used_files(), 2u);
}

TEST_P(Stack, EachMountTargetShowsItsFileSystemOnly) {
  std::string first = MakeFileSystem("one");
  std::string second = MakeFileSystem("two");
  OnDefaultListener(first);
  std::string hidden = MakeAccessPoint(second, "ap", "/a").access_point_id();
  auto probe = rpc_->Listen("127.0.0.1", 0, 9999);  // a port that is free
  rpc_->StopListening(probe->id);
  v1::CreateMountTargetRequest request;
  request.set_file_system_id(second);
  request.set_ip_address("127.0.0.1");
  request.set_port(probe->port);
  auto target = manager_->CreateMountTarget(request);
  ASSERT_TRUE(target.ok()) << target.error().ToString();
  auto one = Mount(port_, "one");
  auto two = Mount(probe->port, "two");
  EXPECT_EQ(one->Walk(hidden).status, nfs4::NFS4ERR_NOENT);
  EXPECT_EQ(two->Walk(hidden).status, nfs4::NFS4_OK);
  EXPECT_NE(one->GetAttributes(*one->Root())->fsid.major,
            two->GetAttributes(*two->Root())->fsid.major);
  v1::DeleteMountTargetRequest gone;
  gone.set_mount_target_id(target->mount_target_id());
  ASSERT_TRUE(manager_->DeleteMountTarget(gone).ok());
  EXPECT_EQ(two->Root().status, nfs_client::kNoAnswer) << "its connections are closed";
  EXPECT_EQ(one->Root().status, nfs4::NFS4_OK);
}

TEST_P(Stack, QuotasChangeUnderARunningClient) {
  std::string fs = MakeFileSystem("one");
  OnDefaultListener(fs);
  std::string ap = MakeAccessPoint(fs, "ap", "/a", 1 << 20).access_point_id();
  auto client = Mount(port_);
  auto root = client->Walk(ap);
  auto total = [&] {
    return client->GetAttributes(*root, {nfs4::FATTR4_SPACE_TOTAL})->space_total;
  };
  EXPECT_EQ(total(), uint64_t{1} << 20);
  auto file = client->Create(*root, "f");
  ASSERT_EQ(file.status, nfs4::NFS4_OK);
  Bytes data(1 << 20, std::byte{7});
  EXPECT_EQ(client->Write(file->fh, file->state, 0, data).status, nfs4::NFS4_OK);
  EXPECT_EQ(client->Write(file->fh, file->state, 1 << 20, data).status, nfs4::NFS4ERR_DQUOT);
  v1::UpdateAccessPointRequest request;
  request.set_access_point_id(ap);
  request.set_quota_bytes(4 << 20);
  ASSERT_TRUE(manager_->UpdateAccessPoint(request).ok());
  EXPECT_EQ(total(), uint64_t{4} << 20);
  EXPECT_EQ(client->Write(file->fh, file->state, 1 << 20, data).status, nfs4::NFS4_OK);
  EXPECT_EQ(Describe(ap).used_bytes(), uint64_t{2} << 20);
  EXPECT_EQ(client->Close(*file), nfs4::NFS4_OK);
}

TEST_P(Stack, HandlesOutliveARestartAndEndWithTheAccessPoint) {
  std::string fs = MakeFileSystem("one");
  OnDefaultListener(fs);
  std::string ap = MakeAccessPoint(fs, "ap", "/a").access_point_id();
  Fh root = *Mount(port_)->Walk(ap);
  Stop();
  Start();
  auto client = Mount(port_, "another");
  EXPECT_EQ(client->GetAttributes(root).status, nfs4::NFS4_OK);
  EXPECT_EQ(*client->Walk(ap), root);
  v1::DeleteAccessPointRequest request;
  request.set_access_point_id(ap);
  request.set_delete_root_directory(true);
  ASSERT_TRUE(manager_->DeleteAccessPoint(request).ok());
  EXPECT_EQ(client->GetAttributes(root).status, nfs4::NFS4ERR_STALE);
  EXPECT_EQ(client->Walk(ap).status, nfs4::NFS4ERR_NOENT);
  EXPECT_EQ(client->Walk("a").status, nfs4::NFS4ERR_NOENT);
  EXPECT_EQ(manager_->Fsck({})->problem_count(), 0u);
}

TEST_P(Stack, ADeletedFileSystemIsGoneForThoseWhoHadItOpen) {
  std::string fs = MakeFileSystem("one");
  OnDefaultListener(fs);
  std::string ap = MakeAccessPoint(fs, "ap", "/a").access_point_id();
  auto client = Mount(port_);
  auto root = client->Walk(ap);
  auto file = client->Create(*root, "f");
  ASSERT_EQ(file.status, nfs4::NFS4_OK);
  v1::DescribeMountTargetsRequest list;
  list.set_file_system_id(fs);
  v1::DeleteMountTargetRequest gone;
  gone.set_mount_target_id(
      manager_->DescribeMountTargets(list)->mount_targets(0).mount_target_id());
  ASSERT_TRUE(manager_->DeleteMountTarget(gone).ok());
  v1::DeleteFileSystemRequest request;
  request.set_file_system_id(fs);
  ASSERT_TRUE(manager_->DeleteFileSystem(request).ok());
  Bytes data(10);
  EXPECT_EQ(client->Write(file->fh, file->state, 0, data).status, nfs4::NFS4ERR_STALE);
  EXPECT_EQ(client->Close(*file), nfs4::NFS4ERR_STALE);
  v1::DescribeFileSystemsRequest describe;
  describe.set_file_system_id(fs);
  EXPECT_EQ(manager_->DescribeFileSystems(describe).code(), Code::kNotFound);
}

class StackOnDisk : public Stack {};
INSTANTIATE_TEST_SUITE_P(Engines, StackOnDisk, testing::Values("local"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(StackOnDisk, AFlippedBitIsAnErrorOfTheReadAndOfAScrub) {
  std::string fs = MakeFileSystem("one");
  OnDefaultListener(fs);
  auto client = Mount(port_);
  auto file = client->Create(*client->Root(), "f");
  ASSERT_EQ(file.status, nfs4::NFS4_OK);
  Bytes data(256 << 10, std::byte{7});
  ASSERT_EQ(client->Write(file->fh, file->state, 0, data).status, nfs4::NFS4_OK);
  std::filesystem::path chunk;
  for (auto& entry : std::filesystem::recursive_directory_iterator(dir_ / "data/chunks")) {
    if (entry.is_regular_file()) chunk = entry.path();
  }
  ASSERT_FALSE(chunk.empty());
  auto before = engine_->counters();
  {
    std::fstream bytes(chunk, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(100'000);
    bytes.put(6);
  }
  EXPECT_EQ(client->Read(file->fh, file->state, 98'304, 4096).status, nfs4::NFS4ERR_IO);
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 98'304).status, nfs4::NFS4_OK);
  EXPECT_EQ(engine_->counters().damaged, before.damaged + 1);
  ASSERT_TRUE(manager_->StartScrub({}).ok());
  auto report = manager_->DescribeScrub({});
  for (int i = 0; i < 2000 && report->state() == "running"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    report = manager_->DescribeScrub({});
  }
  EXPECT_EQ(report->state(), "done");
  ASSERT_EQ(report->problem_count(), 1u);
  EXPECT_THAT(report->problems(0), testing::StartsWith(fs + ": file system 1: inode "));
  EXPECT_THAT(report->problems(0), testing::HasSubstr("at offset 98304 (" + chunk.string()));
  EXPECT_EQ(client->Close(*file), nfs4::NFS4_OK);
}

}  // namespace
}  // namespace tarn::daemon
