// The node plugin as a process with real FUSE mounts of a real server. run.sh runs it; it needs
// root.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "api/pluginregistration.grpc.pb.h"
#include "csi/plugin.h"
#include "tests/csi/plugin_world.h"

namespace tarn::csi {
namespace {

constexpr int64_t kGiB = 1 << 30;
using Clock = std::chrono::steady_clock;

uint64_t SizeOf(const std::string& path) {
  struct statvfs info {};
  return statvfs(path.c_str(), &info) == 0 ? info.f_blocks * info.f_frsize : 0;
}

TEST(NodeE2E, PodsShareAVolumeThatHasItsOwnSize) {
  World world;
  world.StartNode();
  auto volume = world.Create("shared", kGiB);
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(world.Publish(volume, "b").ok());
  ASSERT_TRUE(world.Publish(volume, "reader", true).ok());
  ASSERT_TRUE(WriteFile(world.TargetPath("a") + "/file", "hello"));
  EXPECT_EQ(ReadFile(world.TargetPath("b") + "/file"), "hello");
  EXPECT_EQ(ReadFile(world.TargetPath("reader") + "/file"), "hello");
  EXPECT_FALSE(WriteFile(world.TargetPath("reader") + "/file", "no"));
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(SizeOf(world.TargetPath("a")), static_cast<uint64_t>(kGiB));
  pb::NodeGetVolumeStatsResponse stats;
  ASSERT_TRUE(world.Stats(volume, "b", &stats).ok());
  EXPECT_EQ(stats.usage(0).total(), kGiB);
  EXPECT_GT(stats.usage(0).used(), 0);
  EXPECT_GT(stats.usage(1).used(), 0);
  EXPECT_FALSE(stats.volume_condition().abnormal());
  ASSERT_TRUE(world.Expand(volume, 2 * kGiB).ok());
  EXPECT_TRUE(
      Eventually([&] { return SizeOf(world.TargetPath("a")) == static_cast<uint64_t>(2 * kGiB); }));
  for (const char* pod : {"a", "b", "reader"}) EXPECT_TRUE(world.Unpublish(volume, pod).ok());
  EXPECT_TRUE(world.Unstage(volume).ok());
  EXPECT_EQ(world.MountCount(), 0u);
  EXPECT_TRUE(Eventually([&] { return world.FusePid(volume) == 0; }));
}

TEST(NodeE2E, MountsOutliveThePlugin) {
  World world;
  world.StartNode();
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(WriteFile(world.TargetPath("a") + "/file", "before"));
  pid_t fuse = world.FusePid(volume);
  EXPECT_GT(fuse, 0);
  EXPECT_EQ(world.node->Stop(), 0);
  EXPECT_EQ(ReadFile(world.TargetPath("a") + "/file"), "before");
  ASSERT_TRUE(WriteFile(world.TargetPath("a") + "/file", "between"));
  world.StartNode();
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(world.Publish(volume, "b").ok());
  world.node->Kill();
  EXPECT_EQ(ReadFile(world.TargetPath("b") + "/file"), "between");
  world.StartNode();
  EXPECT_EQ(world.FusePid(volume), fuse);
  ASSERT_TRUE(world.Unpublish(volume, "a").ok());
  ASSERT_TRUE(world.Unpublish(volume, "b").ok());
  ASSERT_TRUE(world.Unstage(volume).ok());
  EXPECT_EQ(world.MountCount(), 0u);
}

TEST(NodeE2E, ADeadFuseProcessIsReplaced) {
  World world;
  world.StartNode({"--repair-interval", "1"});
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(world.Publish(volume, "reader", true).ok());
  ASSERT_TRUE(WriteFile(world.TargetPath("a") + "/file", "data"));
  kill(world.FusePid(volume), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return ReadFile(world.TargetPath("a") + "/file") == "data"; }));
  EXPECT_TRUE(Eventually([&] { return ReadFile(world.TargetPath("reader") + "/file") == "data"; }));
  EXPECT_FALSE(WriteFile(world.TargetPath("reader") + "/file", "no"));
  EXPECT_TRUE(WriteFile(world.TargetPath("a") + "/file", "more"));
}

TEST(NodeE2E, ADeadFuseProcessIsSeenAndReplacedAtTheNextPublish) {
  World world;
  world.StartNode({"--repair-interval", "0"});
  auto volume = world.Create("v", kGiB);
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(WriteFile(world.TargetPath("a") + "/file", "data"));
  kill(world.FusePid(volume), SIGKILL);
  pb::NodeGetVolumeStatsResponse stats;
  EXPECT_TRUE(Eventually([&] {
    return world.Stats(volume, "a", &stats).ok() && stats.volume_condition().abnormal();
  }));
  EXPECT_THAT(stats.volume_condition().message(), testing::HasSubstr("dead"));
  ASSERT_TRUE(world.Publish(volume, "b").ok());
  EXPECT_EQ(ReadFile(world.TargetPath("b") + "/file"), "data");
  ASSERT_TRUE(world.Unpublish(volume, "a").ok());  // though it is dead
}

TEST(NodeE2E, AServerThatHangsHangsNothingHere) {
  World world;
  world.StartNode({"--repair-interval", "1"});
  auto volume = world.Create("v", kGiB);
  auto other = world.Create("w", kGiB);
  ASSERT_TRUE(world.Stage(volume).ok());
  ASSERT_TRUE(world.Publish(volume, "a").ok());
  ASSERT_TRUE(world.Publish(volume, "b").ok());
  world.server->Signal(SIGSTOP);
  auto start = Clock::now();
  pb::NodeGetVolumeStatsResponse stats;
  ASSERT_TRUE(world.Stats(volume, "a", &stats).ok());
  EXPECT_TRUE(stats.volume_condition().abnormal());
  EXPECT_THAT(stats.volume_condition().message(), testing::HasSubstr("does not answer"));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(3));
  EXPECT_TRUE(ProbePlugin(world.dir + "/node.sock").ok());
  start = Clock::now();
  EXPECT_EQ(world.Stage(other).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(12));
  start = Clock::now();
  EXPECT_TRUE(world.Unpublish(volume, "a").ok());
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
  world.server->Signal(SIGCONT);
  EXPECT_TRUE(Eventually([&] {
    return world.Stats(volume, "b", &stats).ok() && !stats.volume_condition().abnormal();
  }));
  EXPECT_TRUE(Eventually([&] { return world.Stage(other).ok(); }));
  world.server->Signal(SIGSTOP);
  EXPECT_TRUE(world.Unpublish(volume, "b").ok());
  EXPECT_TRUE(world.Unstage(volume).ok());
  EXPECT_TRUE(world.Unstage(other).ok());
  EXPECT_EQ(world.MountCount(), 0u);
}

TEST(NodeE2E, AServerThatIsDownLeavesNothingBehind) {
  World world;
  world.StartNode();
  auto volume = world.Create("v", kGiB);
  world.server->Kill();
  auto start = Clock::now();
  auto status = world.Stage(volume);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), testing::HasSubstr("Could not mount"));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(12));
  EXPECT_EQ(world.MountCount(), 0u);
  EXPECT_EQ(world.FusePid(volume), 0);
  std::filesystem::remove(world.dir + "/control.sock");
  world.StartServer();
  EXPECT_TRUE(Eventually([&] { return world.Stage(volume).ok(); }, std::chrono::seconds(40)));
}

TEST(NodeE2E, AVolumeThatIsGoneIsNamed) {
  World world;
  world.StartNode();
  auto volume = world.Create("v", kGiB);
  volume.set_volume_id("efs:fs-0123456789abcdef0::fsap-0000000000000000f");
  auto status = world.Stage(volume);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), testing::HasSubstr("fsap-0000000000000000f"));
  EXPECT_EQ(world.MountCount(), 0u);
}

// PersistentVolumes that nobody provisioned: the server comes from the registry.
TEST(NodeE2E, VolumesMadeByHand) {
  World world;
  world.StartNode({"--registry-dir", world.dir + "/registry"});
  auto made = world.Create("v", kGiB);
  std::string access_point = made.volume_id().substr(made.volume_id().rfind(':') + 1);
  int n = 0;
  auto works = [&](const std::string& handle, const std::string& file) {
    pb::Volume volume;
    volume.set_volume_id(handle);
    std::string pod = "pod-" + std::to_string(++n);
    auto status = world.Stage(volume);
    EXPECT_TRUE(status.ok()) << handle << ": " << status.error_message();
    EXPECT_TRUE(world.Publish(volume, pod).ok());
    EXPECT_TRUE(WriteFile(world.TargetPath(pod) + "/" + file, handle)) << handle;
    EXPECT_TRUE(world.Unpublish(volume, pod).ok());
    EXPECT_TRUE(world.Unstage(volume).ok());
  };
  works("fs-0123456789abcdef0::" + access_point, "by-access-point");
  works("efs:fs-0123456789abcdef0", "by-root");
  works("fs-0123456789abcdef0:/v", "by-path");
  ASSERT_TRUE(world.Stage(made).ok());
  ASSERT_TRUE(world.Publish(made, "check").ok());
  EXPECT_EQ(ReadFile(world.TargetPath("check") + "/by-access-point"),
            "fs-0123456789abcdef0::" + access_point);
  EXPECT_EQ(ReadFile(world.TargetPath("check") + "/by-path"), "fs-0123456789abcdef0:/v");
}

TEST(NodeE2E, RegistersAnswersHealthAndEndsWell) {
  World world;
  int port = FreePort();
  world.StartNode({"--health-listen", "127.0.0.1:" + std::to_string(port)});
  EXPECT_TRUE(Eventually([&] { return HttpStatus(port, "/healthz") == 200; }));
  std::string socket = world.dir + "/kubelet/plugins_registry/efs.csi.tarn.dev-reg.sock";
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(socket); }));
  auto stub = pluginregistration::Registration::NewStub(
      grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  pluginregistration::PluginInfo info;
  ASSERT_TRUE(stub->GetInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.endpoint(), world.dir + "/node.sock");
  // A second plugin must not take the first one's sockets away.
  Process second(world.bin + "/tarn-csi",
                 {"node", "--endpoint", world.dir + "/node.sock", "--node-id", "x", "--kubelet-dir",
                  world.dir + "/kubelet"},
                 world.dir + "/second.log");
  EXPECT_TRUE(Eventually([&] {
    return ReadFile(world.dir + "/second.log").find("another process") != std::string::npos;
  }));
  EXPECT_TRUE(ProbePlugin(world.dir + "/node.sock").ok());
  EXPECT_EQ(world.node->Stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_FALSE(std::filesystem::exists(world.dir + "/node.sock"));
}

}  // namespace
}  // namespace tarn::csi
