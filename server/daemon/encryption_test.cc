// Encryption at rest of tarn-server as a process, with a real NFS client: its key is taken away and
// given back under load; nothing of a key is to be seen anywhere outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/text.h"
#include "server/daemon/testing/server_process.h"
#include "server/keys/base64.h"
#include "tests/nfs/client/client.h"

namespace tarn::daemon {
namespace {

namespace pb = control::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr char kFileSystem[] = "fs-0123456789abcdef0";
// Of the customer-managed key: nothing else looks like it.
const std::string kKey = "kestrel-key-material-of-32-bytes";

class Encryption : public testing::Test {
 protected:
  Encryption() {
    std::filesystem::create_directory(dir_ / "keys");
    Give(kKey);
  }
  void Give(const std::string& key, const std::string& version = "v1") {
    const std::string path = dir_ / ("keys/" + version);
    std::ofstream(path + ".new") << key;
    std::filesystem::permissions(path + ".new", std::filesystem::perms::owner_read);
    std::filesystem::rename(path + ".new", path);
  }
  void Take(const std::string& version = "v1") {
    std::filesystem::remove(dir_ / ("keys/" + version));
  }

  std::unique_ptr<ServerProcess> StartServer() {
    auto server = std::make_unique<ServerProcess>(
        TARN_SERVER, std::vector<std::string>{"--data-dir",
                                              dir_ / "data",
                                              "--engine",
                                              kEngine,
                                              "--listen",
                                              "127.0.0.1:0",
                                              "--http-listen",
                                              "127.0.0.1:0",
                                              "--lease",
                                              "1",
                                              "--key",
                                              "main=file://" + (dir_ / "keys"),
                                              "--key-check-every",
                                              "1",
                                              "--file-system-id",
                                              kFileSystem,
                                              "--file-system-key",
                                              "main",
                                              "--log-level",
                                              "debug"});
    EXPECT_TRUE(server->WaitServing()) << server->Output();
    return server;
  }
  pb::FileSystemDescription Show() {
    auto stub = pb::Control::NewStub(rpcs::OpenChannel(dir_ / "data/control.sock", "").value());
    pb::DescribeFileSystemsRequest request;
    request.set_file_system_id(kFileSystem);
    pb::DescribeFileSystemsResponse response;
    auto done =
        rpcs::Call(*stub, &pb::Control::Stub::DescribeFileSystems, request, response, seconds{10});
    EXPECT_TRUE(done.ok()) << done.error().ToString();
    return response.file_systems_size() == 1 ? response.file_systems(0)
                                             : pb::FileSystemDescription();
  }
  template <typename Condition>
  static bool Eventually(Condition condition, seconds within = seconds{60}) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds{20});
    }
    return true;
  }
  static nfs_client::ClientOptions Options(const ServerProcess& server, const std::string& owner) {
    nfs_client::ClientOptions options;
    options.port = server.nfs_port();
    options.owner = owner;
    return options;
  }

  static constexpr const char* kEngine = "local";
  TempDir dir_;
};

TEST_F(Encryption, TheKeyIsTakenAwayAndGivenBackUnderLoad) {
  auto server = StartServer();
  EXPECT_TRUE(Show().encrypted());
  auto client = nfs_client::Client::Mount(Options(*server, "load"));
  ASSERT_TRUE(client.ok());
  auto root = (*client)->Root();
  ASSERT_TRUE(root.ok());
  auto file = (*client)->Create(*root, "file");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*client)->Write(file->fh, file->state, 0, nfs_client::AsOpaque("before")).ok());

  // The load: an open file, written again and again, all answers counted.
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::atomic<int> refused{0};
  std::map<nfs4::nfsstat4, int> others;
  std::thread load([&] {
    for (uint64_t i = 0; !stop; ++i) {
      auto answer = (*client)->Write(file->fh, file->state, i % 64, nfs_client::AsOpaque("x"));
      if (answer.ok()) {
        ++written;
      } else if (answer.status == nfs4::NFS4ERR_ACCESS) {
        ++refused;
      } else if (answer.status != nfs4::NFS4ERR_DELAY) {
        ++others[answer.status];
      }
    }
  });
  ASSERT_TRUE(Eventually([&] { return written > 100; }));
  EXPECT_EQ(refused, 0);

  Take();
  EXPECT_TRUE(Eventually([&] { return refused > 100; }));
  EXPECT_EQ(Show().life_cycle_state(), "error");
  EXPECT_THAT(Show().status_message(), HasSubstr("taken away"));
  // Mounting finds no root.
  auto late = nfs_client::Client::Mount(Options(*server, "late"));
  ASSERT_TRUE(late.ok());
  auto refused_root = (*late)->Root();
  ASSERT_TRUE(refused_root.ok());
  EXPECT_EQ((*late)->GetAttributes(*refused_root).status, nfs4::NFS4ERR_ACCESS);

  Give(kKey);
  const int before = written;
  EXPECT_TRUE(Eventually([&] { return written > before + 100; }));
  EXPECT_EQ(Show().life_cycle_state(), "available");
  stop = true;
  load.join();
  EXPECT_TRUE(others.empty());
  EXPECT_TRUE((*late)->GetAttributes(*refused_root).ok());
  auto data = (*client)->Read(file->fh, file->state, 0, 1);
  ASSERT_TRUE(data.ok());
}

// All bytes of all files below a directory.
std::string BytesOf(const std::string& directory) {
  std::ostringstream all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    all << entry.path().filename().string() << "\n";
    if (entry.is_regular_file()) all << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    all.clear();  // an empty file sets failbit
  }
  return all.str();
}

// What a thief of the disk greps for, after the server was killed and after it was stopped.
TEST_F(Encryption, TheDiskHoldsNoNamesAndNoContents) {
  auto server = StartServer();
  {
    auto client = nfs_client::Client::Mount(Options(*server, "writer"));
    ASSERT_TRUE(client.ok());
    auto root = (*client)->Root();
    std::string large;
    while (large.size() < (1 << 20)) large += "content-osprey of a large file, ";
    for (const std::string& content :
         {std::string("content-osprey of a small file"), large.substr(0, 60'000), large}) {
      const std::string name = "name-osprey-" + std::to_string(content.size());
      auto file = (*client)->Create(*root, name);
      ASSERT_TRUE(file.ok());
      ASSERT_TRUE((*client)->Write(file->fh, file->state, 0, nfs_client::AsOpaque(content)).ok());
      ASSERT_TRUE((*client)->Write(file->fh, file->state, 7, nfs_client::AsOpaque("osprey")).ok());
      (*client)->Close(*file);
    }
    ASSERT_TRUE((*client)->Mkdir(*root, "directory-osprey").ok());
    ASSERT_TRUE((*client)->Symlink(*root, "link-osprey", "target-osprey").ok());
    ASSERT_EQ((*client)->Rename(*root, "link-osprey", *root, "renamed-osprey"), nfs4::NFS4_OK);
    ASSERT_EQ((*client)->Remove(*root, "name-osprey-60000"), nfs4::NFS4_OK);
  }
  auto stub = pb::Control::NewStub(rpcs::OpenChannel(dir_ / "data/control.sock", "").value());
  pb::CreateAccessPointRequest request;
  request.set_file_system_id(kFileSystem);
  request.set_client_token("token-osprey");
  request.mutable_root_directory()->set_path("/access-point-osprey");
  request.mutable_root_directory()->mutable_creation_info()->set_permissions("0700");
  pb::AccessPointDescription made;
  ASSERT_TRUE(
      rpcs::Call(*stub, &pb::Control::Stub::CreateAccessPoint, request, made, seconds{10}).ok());
  server->Signal(SIGKILL);
  server->Wait();
  EXPECT_THAT(BytesOf(dir_ / "data"), Not(HasSubstr("osprey")));

  server = StartServer();
  ASSERT_TRUE(Eventually([&] { return Show().life_cycle_state() == "available"; }));
  auto client = nfs_client::Client::Mount(Options(*server, "reader"));
  ASSERT_TRUE(client.ok());
  auto root = (*client)->Root();
  ASSERT_TRUE(root.ok());
  auto found = (*client)->Lookup(*root, "renamed-osprey");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*client)->Readlink(*found).value, "target-osprey");
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0);
  const std::string disk = BytesOf(dir_ / "data");
  EXPECT_THAT(disk, Not(HasSubstr("osprey")));
  EXPECT_THAT(disk, HasSubstr(kFileSystem));  // the search does find what is there
}

// A provider that is not there keeps no start waiting, and running mounts only pause.
TEST_F(Encryption, AStartWithoutTheKeyWaitsForItInTheBackground) {
  auto server = StartServer();
  {
    auto client = nfs_client::Client::Mount(Options(*server, "writer"));
    ASSERT_TRUE(client.ok());
    ASSERT_TRUE((*client)->Mkdir(*(*client)->Root(), "there").ok());
  }
  server->Signal(SIGKILL);
  server->Wait();
  Give("torn");
  server = StartServer();
  auto client = nfs_client::Client::Mount(Options(*server, "reader"));
  ASSERT_TRUE(client.ok());
  auto root = (*client)->Root();
  ASSERT_TRUE(root.ok());
  EXPECT_EQ((*client)->GetAttributes(*root).status, nfs4::NFS4ERR_DELAY);
  EXPECT_EQ(Show().life_cycle_state(), "error");
  Give(kKey);
  EXPECT_TRUE(Eventually([&] { return (*client)->GetAttributes(*root).ok(); }));
  EXPECT_TRUE((*client)->Lookup(*root, "there").ok());
}

TEST_F(Encryption, RotationRewritesTheBlobOnly) {
  auto server = StartServer();
  const std::string other(32, 'o');
  Give(other, "v2");
  ASSERT_TRUE(Eventually([&] { return Show().kms_key_version().starts_with("v2#"); }));
  Take("v1");
  server->Signal(SIGKILL);
  server->Wait();
  server = StartServer();
  EXPECT_TRUE(Eventually([&] { return Show().life_cycle_state() == "available"; }));
}

// Looks for the customer-managed key, as it is, in hex and as base64, and for the control
// process's memory where others can see it.
TEST_F(Encryption, NoKeyMaterialIsToBeSeen) {
  auto server = StartServer();
  Show();
  Take();
  ASSERT_TRUE(Eventually([&] { return Show().life_cycle_state() == "error"; }));
  Give(kKey.substr(0, 20));  // torn
  std::this_thread::sleep_for(seconds{2});
  Give(kKey);
  ASSERT_TRUE(Eventually([&] { return Show().life_cycle_state() == "available"; }));
  std::ostringstream seen;
  for (const char* name : {"cmdline", "environ", "status"}) {
    std::ifstream in("/proc/" + std::to_string(server->pid()) + "/" + name);
    seen << in.rdbuf();
  }
  seen << Show().DebugString() << server->Output();
  const std::string all = seen.str();
  EXPECT_THAT(all, HasSubstr("main=file://"));
  EXPECT_THAT(all, Not(HasSubstr("kestrel")));
  EXPECT_THAT(all, Not(HasSubstr(Hex(kKey).substr(0, 16))));
  const SecretBytes text = keys::EncodeBase64(kKey);
  EXPECT_THAT(all, Not(HasSubstr(std::string(text.view().substr(0, 16)))));
}

}  // namespace
}  // namespace tarn::daemon
