// The node plugin, the tunnel and a server that speaks TLS and verifies tokens, as processes, with
// real FUSE mounts: what each pod may do is decided by its own identity.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/csi/plugin_world.h"

namespace tarn::csi {
namespace {

using testing::HasSubstr;
using Clock = std::chrono::steady_clock;
constexpr int64_t kGiB = 1 << 30;

// `writers` and `readers`: ServiceAccounts; nobody else may do anything, and nobody without TLS.
std::string Policy(const std::string& writers, const std::string& readers) {
  return R"({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"ServiceAccount": ")" +
         writers + R"("},
     "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]},
    {"Effect": "Allow", "Principal": {"ServiceAccount": ")" +
         readers + R"("}, "Action": "elasticfilesystem:ClientMount"},
    {"Effect": "Deny", "Principal": "*", "Action": "*",
     "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})";
}

struct TlsE2E : testing::Test {
  TlsE2E() { world.StartNode({"--repair-interval", "1"}); }
  std::string File(const std::string& pod, const std::string& name = "file") const {
    return world.TargetPath(pod) + "/" + name;
  }
  // How many mounts the tunnel keeps.
  size_t Opened() const {
    std::filesystem::directory_iterator files(world.dir + "/tunnel/mounts");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  World world{/*tls=*/true};
};

TEST_F(TlsE2E, OneVolumeThreeIdentitiesOnePolicy) {
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.PutPolicy(Policy("a/*", "b/*")));
  ASSERT_TRUE(world.Stage(volume).ok());
  auto status = world.PublishAs(volume, "writer", "a/web");
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(world.PublishAs(volume, "reader", "b/web").ok());
  status = world.PublishAs(volume, "nobody", "c/web");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("access denied"));
  EXPECT_THAT(status.error_message(), HasSubstr("pod c/nobody"));
  EXPECT_EQ(Opened(), 2u);
  ASSERT_TRUE(WriteFile(File("writer"), "hello"));
  EXPECT_EQ(ReadFile(File("reader")), "hello");
  EXPECT_FALSE(WriteFile(File("reader", "other"), "no"));
  EXPECT_EQ(errno, EROFS);

  ASSERT_TRUE(world.PutPolicy(Policy("b/*", "a/*")));
  auto start = Clock::now();
  EXPECT_TRUE(Eventually([&] { return WriteFile(File("reader", "other"), "yes"); }));
  EXPECT_FALSE(WriteFile(File("writer", "more"), "no"));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(ReadFile(File("writer", "other")), "yes");
  for (const char* pod : {"writer", "reader", "nobody"}) {
    EXPECT_TRUE(world.Unpublish(volume, pod).ok());
  }
  EXPECT_EQ(world.MountCount(), 0u);
  EXPECT_EQ(Opened(), 0u);
}

TEST_F(TlsE2E, PlainMountsAreRefusedByThePolicyAndSaySo) {
  auto volume = world.Create("v", kGiB);
  (*volume.mutable_volume_context())["encryptInTransit"] = "false";
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Unstage(volume).ok());
  ASSERT_TRUE(world.PutPolicy(Policy("a/*", "b/*")));
  auto status = world.Stage(volume);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_EQ(world.MountCount(), 0u);
}

TEST_F(TlsE2E, MountsOutliveThePluginAndTheTunnel) {
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.PublishAs(volume, "a", "a/web").ok());
  // A process of its own: a program that is started while this one has files of the mount open
  // waits for their close, which waits for the server.
  const std::string log = world.dir + "/writer.log";
  Process writer("/bin/sh",
                 {"-c", "i=0; while [ ! -e " + world.dir + "/stop ]; do i=$((i + 1)); echo data >" +
                            File("a", "f") + "$i && echo acked || echo ERROR; done"},
                 log);
  auto acked = [&] {
    std::string text = ReadFile(log);
    return std::count(text.begin(), text.end(), '\n');
  };
  auto goes_on = [&] {
    auto before = acked();
    return Eventually([&] { return acked() > before + 3; });
  };
  EXPECT_TRUE(goes_on());
  world.tunnel->Kill();
  world.StartTunnel();
  EXPECT_TRUE(goes_on());
  world.node->Kill();
  world.StartNode({"--repair-interval", "1"});
  ASSERT_TRUE(world.PublishAs(volume, "a", "a/web").ok());  // a new certificate
  EXPECT_TRUE(goes_on());
  world.server->Kill();
  world.StartServer();
  EXPECT_TRUE(goes_on());
  ASSERT_TRUE(WriteFile(world.dir + "/stop", ""));
  EXPECT_EQ(writer.Wait(), 0);
  EXPECT_THAT(ReadFile(log), testing::Not(HasSubstr("ERROR")));
  EXPECT_EQ(ReadFile(File("a", "f" + std::to_string(acked()))), "data\n");
  EXPECT_EQ(world.MountCount(), 1u);
  EXPECT_EQ(Opened(), 1u);
}

TEST_F(TlsE2E, ADeadFuseProcessIsReplacedForItsPodAlone) {
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.PublishAs(volume, "a", "a/web").ok());
  ASSERT_TRUE(world.PublishAs(volume, "b", "b/web").ok());
  ASSERT_TRUE(WriteFile(File("a"), "data"));
  pid_t other = World::FusePidAt(world.TargetPath("b"));
  kill(World::FusePidAt(world.TargetPath("a")), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return ReadFile(File("a")) == "data"; }));
  EXPECT_EQ(ReadFile(File("b")), "data");
  EXPECT_EQ(World::FusePidAt(world.TargetPath("b")), other);
}

TEST_F(TlsE2E, ATokenThatIsNotAcceptedDoesNotMount) {
  auto volume = world.Create("v", kGiB);
  identity::TokenMaker stranger;  // another cluster, which the server does not know
  pb::Volume forged = volume;
  auto& context = *forged.mutable_volume_context();
  auto claims = stranger.Claims("a", "web");
  claims["exp"] = std::time(nullptr) + 3600;
  std::string token = stranger.Sign(claims);
  context["csi.storage.k8s.io/serviceAccount.tokens"] =
      R"({"tarn.dev":{"token":")" + token + R"("}})";
  EXPECT_FALSE(world.Publish(forged, "a").ok());
  EXPECT_EQ(world.MountCount(), 0u);
  EXPECT_EQ(Opened(), 0u);
  for (const char* log : {"node", "tunnel", "server"}) {
    std::string text = ReadFile(world.dir + "/" + log + ".log");
    EXPECT_EQ(text.find(token.substr(0, 40)), std::string::npos) << log;
  }
}

}  // namespace
}  // namespace tarn::csi
