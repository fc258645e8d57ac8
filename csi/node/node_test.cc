// The node service over a machine whose mounts are a table.
#include <gtest/gtest.h>

#include <filesystem>

#include "csi/node/fake_host.h"
#include "csi/node/node_service.h"
#include "csi/node/registration.h"
#include "csi/volume_context.h"

namespace tarn::csi {
namespace {

namespace pb = ::csi::v1;
using AccessMode = pb::VolumeCapability::AccessMode;
using grpc::StatusCode;

constexpr char kVolume[] = "efs:fs-0123456789abcdef0::fsap-0123456789abcdef1";

struct NodeTest : testing::Test {
  NodeTest() {
    std::string name = "/tmp/tarn-node-XXXXXX";
    dir = mkdtemp(name.data());
    Restart();
  }
  ~NodeTest() override { std::filesystem::remove_all(dir); }

  // As after a restart of the plugin: only the machine is what it was.
  void Restart() {
    service.reset();
    volumes = std::make_unique<Volumes>(host, host, planner, nullptr,
                                        VolumesOptions{dir + "/state", dir + "/pods", {}});
    service = std::make_unique<NodeService>(*volumes, NodeOptions{"node-a", "zone-a", 7});
  }

  template <typename Request>
  Request Base(AccessMode::Mode mode) {
    Request request;
    request.set_volume_id(kVolume);
    request.set_staging_target_path(staging);
    request.mutable_volume_capability()->mutable_mount();
    request.mutable_volume_capability()->mutable_access_mode()->set_mode(mode);
    (*request.mutable_volume_context())[kNfsAddressKey] = "10.0.0.1:2049";
    return request;
  }
  pb::NodeStageVolumeRequest StageRequestOf(
      AccessMode::Mode mode = AccessMode::MULTI_NODE_MULTI_WRITER) {
    return Base<pb::NodeStageVolumeRequest>(mode);
  }
  pb::NodePublishVolumeRequest PublishRequestOf(
      const std::string& target, AccessMode::Mode mode = AccessMode::MULTI_NODE_MULTI_WRITER) {
    auto request = Base<pb::NodePublishVolumeRequest>(mode);
    request.set_target_path(target);
    return request;
  }
  grpc::Status DoStage(const pb::NodeStageVolumeRequest& request) {
    pb::NodeStageVolumeResponse response;
    return service->NodeStageVolume(nullptr, &request, &response);
  }
  grpc::Status Publish(const pb::NodePublishVolumeRequest& request) {
    pb::NodePublishVolumeResponse response;
    return service->NodePublishVolume(nullptr, &request, &response);
  }
  grpc::Status Unpublish(const std::string& target) {
    pb::NodeUnpublishVolumeRequest request;
    request.set_volume_id(kVolume);
    request.set_target_path(target);
    pb::NodeUnpublishVolumeResponse response;
    return service->NodeUnpublishVolume(nullptr, &request, &response);
  }
  grpc::Status Unstage() {
    pb::NodeUnstageVolumeRequest request;
    request.set_volume_id(kVolume);
    request.set_staging_target_path(staging);
    pb::NodeUnstageVolumeResponse response;
    return service->NodeUnstageVolume(nullptr, &request, &response);
  }
  grpc::Status Stats(const std::string& path, pb::NodeGetVolumeStatsResponse& response) {
    pb::NodeGetVolumeStatsRequest request;
    request.set_volume_id(kVolume);
    request.set_volume_path(path);
    return service->NodeGetVolumeStats(nullptr, &request, &response);
  }
  std::optional<MountEntry> MountAt(const std::string& path) {
    return FindMount(*host.Mounts(), path);
  }
  size_t Mounts() { return host.Mounts()->size(); }

  FakeHost host;
  const Planner planner{nullptr, ""};
  std::string dir;
  std::unique_ptr<Volumes> volumes;
  std::unique_ptr<NodeService> service;
  const std::string staging = "/var/kubelet/globalmount";
  std::string Pod(const std::string& name) { return dir + "/pods/" + name; }
};

TEST_F(NodeTest, MountsOnceAndBindsForEachPod) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  EXPECT_EQ(MountAt(staging)->source, "10.0.0.1:2049:/fsap-0123456789abcdef1");
  for (const char* pod : {"a", "b", "a"}) ASSERT_TRUE(Publish(PublishRequestOf(Pod(pod))).ok());
  EXPECT_EQ(host.made(), 1);
  EXPECT_EQ(Mounts(), 3u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Unpublish(Pod("a")).ok());
    EXPECT_TRUE(Unpublish(Pod("b")).ok());
    EXPECT_TRUE(Unstage().ok());
  }
  EXPECT_EQ(Mounts(), 0u);
  EXPECT_FALSE(host.HasDirectory(Pod("a")));
}

TEST_F(NodeTest, ARestartForgetsNothing) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"))).ok());
  Restart();
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"))).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("b"))).ok());
  EXPECT_EQ(host.made(), 1);
  ASSERT_TRUE(Unpublish(Pod("a")).ok());
  ASSERT_TRUE(Unpublish(Pod("b")).ok());
  ASSERT_TRUE(Unstage().ok());
  EXPECT_EQ(Mounts(), 0u);
}

TEST_F(NodeTest, ReadOnlyByRequestAndByAccessMode) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  auto request = PublishRequestOf(Pod("a"));
  request.set_readonly(true);
  ASSERT_TRUE(Publish(request).ok());
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_TRUE(MountAt(Pod("a"))->read_only());
  EXPECT_EQ(Publish(PublishRequestOf(Pod("a"))).error_code(), StatusCode::ALREADY_EXISTS);
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("b"), AccessMode::MULTI_NODE_READER_ONLY)).ok());
  EXPECT_TRUE(MountAt(Pod("b"))->read_only());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("c"))).ok());
  EXPECT_FALSE(MountAt(Pod("c"))->read_only());
}

TEST_F(NodeTest, ASingleWriterHasOnePodOnly) {
  auto mode = AccessMode::SINGLE_NODE_SINGLE_WRITER;
  ASSERT_TRUE(DoStage(StageRequestOf(mode)).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"), mode)).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"), mode)).ok());
  EXPECT_EQ(Publish(PublishRequestOf(Pod("b"), mode)).error_code(),
            StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(Unpublish(Pod("a")).ok());
  EXPECT_TRUE(Publish(PublishRequestOf(Pod("b"), mode)).ok());
}

TEST_F(NodeTest, AnotherVolumeAtTheStagingPathIsRefused) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  auto other = StageRequestOf();
  other.set_volume_id("efs:fs-0123456789abcdef0::fsap-0123456789abcdef2");
  EXPECT_EQ(DoStage(other).error_code(), StatusCode::ALREADY_EXISTS);
}

TEST_F(NodeTest, ADeadMountIsMadeAgainAtTheNextStageOrPublish) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"))).ok());
  host.Kill();
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("b"))).ok());
  EXPECT_EQ(host.made(), 2);
  EXPECT_TRUE(host.Check(Pod("b")).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"))).ok());  // its bind was of the dead one
  EXPECT_TRUE(host.Check(Pod("a")).ok());
  host.Kill();
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  EXPECT_EQ(host.made(), 3);
}

TEST_F(NodeTest, RepairMountsAgainAndBindsThePodsAnew) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  auto read_only = PublishRequestOf(Pod("ro"));
  read_only.set_readonly(true);
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("rw"))).ok());
  ASSERT_TRUE(Publish(read_only).ok());
  EXPECT_EQ(volumes->RepairAll(), 0);
  host.Kill();
  Restart();
  EXPECT_EQ(volumes->RepairAll(), 1);
  EXPECT_TRUE(host.Check(Pod("rw")).ok());
  EXPECT_TRUE(host.Check(Pod("ro")).ok());
  EXPECT_TRUE(MountAt(Pod("ro"))->read_only());
  EXPECT_FALSE(MountAt(Pod("rw"))->read_only());
  EXPECT_EQ(volumes->RepairAll(), 0);
  host.Hang();  // a server that is away is no reason to mount anew
  EXPECT_EQ(volumes->RepairAll(), 0);
  EXPECT_EQ(host.made(), 2);
}

TEST_F(NodeTest, RepairLeavesAloneWhatIsUnstaged) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(Unstage().ok());
  EXPECT_EQ(volumes->RepairAll(), 0);
  EXPECT_EQ(Mounts(), 0u);
}

TEST_F(NodeTest, TellsUsageAndCondition) {
  ASSERT_TRUE(DoStage(StageRequestOf()).ok());
  ASSERT_TRUE(Publish(PublishRequestOf(Pod("a"))).ok());
  pb::NodeGetVolumeStatsResponse stats;
  ASSERT_TRUE(Stats(Pod("a"), stats).ok());
  ASSERT_EQ(stats.usage_size(), 2);
  EXPECT_EQ(stats.usage(0).unit(), pb::VolumeUsage::BYTES);
  EXPECT_EQ(stats.usage(0).total(), 100);
  EXPECT_EQ(stats.usage(0).used(), 40);
  EXPECT_EQ(stats.usage(1).unit(), pb::VolumeUsage::INODES);
  EXPECT_EQ(stats.usage(1).available(), 6);
  EXPECT_FALSE(stats.volume_condition().abnormal());
  host.Hang();
  stats.Clear();
  ASSERT_TRUE(Stats(Pod("a"), stats).ok());
  EXPECT_TRUE(stats.volume_condition().abnormal());
  EXPECT_EQ(stats.usage_size(), 0);
  host.Kill();
  ASSERT_TRUE(Stats(Pod("a"), stats).ok());
  EXPECT_NE(stats.volume_condition().message().find("dead"), std::string::npos);
  EXPECT_EQ(Stats(Pod("none"), stats).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(NodeTest, AFailedMountLeavesNothingAndSaysWhy) {
  host.mount_answer = Error(Code::kUnavailable, "Could not mount: connection refused");
  auto status = DoStage(StageRequestOf());
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("connection refused"), std::string::npos);
  EXPECT_EQ(Mounts(), 0u);
}

TEST_F(NodeTest, RefusesBadRequestsByField) {
  auto stage = [&](auto change) {
    auto request = StageRequestOf();
    change(request);
    return DoStage(request);
  };
  using Stage = pb::NodeStageVolumeRequest;
  const std::pair<std::function<void(Stage&)>, const char*> cases[] = {
      {[](Stage& r) { r.clear_volume_id(); }, "Volume ID"},
      {[](Stage& r) { r.set_volume_id("x"); }, "Expected a file system ID"},
      {[](Stage& r) { r.clear_staging_target_path(); }, "Staging target path"},
      {[](Stage& r) { r.set_staging_target_path("a/b"); }, "absolute"},
      {[](Stage& r) { r.set_staging_target_path("/a/../etc"); }, "'..'"},
      {[](Stage& r) { r.set_staging_target_path("/"); }, "must not be /"},
      {[](Stage& r) { r.clear_volume_capability(); }, "Volume capability"},
      {[](Stage& r) { r.mutable_volume_capability()->mutable_block(); }, "block"},
      {[](Stage& r) { r.mutable_volume_capability()->clear_access_mode(); }, "access mode"},
      {[](Stage& r) { r.mutable_volume_capability()->mutable_mount()->set_fs_type("ext4"); },
       "ext4"},
      {[](Stage& r) { r.mutable_volume_capability()->mutable_mount()->add_mount_flags("a,b"); },
       "a,b"},
      {[](Stage& r) { (*r.mutable_volume_context())["path"] = "/"; }, "path not supported"},
  };
  for (const auto& [change, message] : cases) {
    auto status = stage(change);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << message;
    EXPECT_NE(status.error_message().find(message), std::string::npos) << status.error_message();
  }
  auto unknown = StageRequestOf();
  unknown.clear_volume_context();
  EXPECT_EQ(DoStage(unknown).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Mounts(), 0u);
}

TEST_F(NodeTest, SaysWhatItIs) {
  pb::NodeGetInfoRequest request;
  pb::NodeGetInfoResponse info;
  ASSERT_TRUE(service->NodeGetInfo(nullptr, &request, &info).ok());
  EXPECT_EQ(info.node_id(), "node-a");
  EXPECT_EQ(info.max_volumes_per_node(), 7);
  EXPECT_EQ(info.accessible_topology().segments().at(kZoneKey), "zone-a");
}

TEST(Registration, TellsKubeletAndHearsARefusal) {
  Registration registration("efs.csi.tarn.dev", "/csi.sock");
  pluginregistration::PluginInfo info;
  ASSERT_TRUE(registration.GetInfo(nullptr, nullptr, &info).ok());
  EXPECT_EQ(info.type(), "CSIPlugin");
  EXPECT_EQ(info.endpoint(), "/csi.sock");
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(true);
  ASSERT_TRUE(registration.NotifyRegistrationStatus(nullptr, &status, nullptr).ok());
  EXPECT_FALSE(registration.refused());
  status.set_plugin_registered(false);
  ASSERT_TRUE(registration.NotifyRegistrationStatus(nullptr, &status, nullptr).ok());
  EXPECT_TRUE(registration.refused());
}

}  // namespace
}  // namespace tarn::csi
