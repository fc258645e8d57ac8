// Mounts of one pod that the kernel's client carries by one connection.
#include "csi/node/pod_mounts_fixture.h"

namespace tarn::csi {
namespace {

// Two volumes of a pod. The kernel's client carries the second by the connection of the first.
struct MergedMountsTest : PodMountsTest {
  pb::NodePublishVolumeRequest Second(const std::string& token,
                                      const std::string& volume = kVolume) {
    auto request = RequestOf("a", token);
    request.set_volume_id(volume);
    request.set_target_path(second);
    return request;
  }
  void PublishBoth(const std::string& volume = kVolume) {
    ASSERT_TRUE(Publish(RequestOf("a", "t1")).ok());
    ASSERT_TRUE(Publish(Second("t1", volume)).ok());
    host.ShowServer(second, Source("a"));
  }
  grpc::Status UnpublishSecond() {
    pb::NodeUnpublishVolumeRequest request;
    request.set_volume_id(kVolume);
    request.set_target_path(second);
    pb::NodeUnpublishVolumeResponse response;
    return service->NodeUnpublishVolume(nullptr, &request, &response);
  }
  const std::string second = dir + "/pods/a/volumes/kubernetes.io~csi/pv2/mount";
};

TEST_F(MergedMountsTest, TheFirstStaysOpenUntilThePodHasNone) {
  PublishBoth();
  ASSERT_TRUE(Publish(RequestOf("b")).ok());
  ASSERT_TRUE(Unpublish("a").ok());
  EXPECT_TRUE(tunnel.mounts.contains(pods->MountId(Target("a"))));
  volumes->RepairAll();
  EXPECT_EQ(tunnel.mounts.size(), 3u);
  ASSERT_TRUE(Publish(Second("t2")).ok());  // still by the first one's
  EXPECT_EQ(host.made(), 3);
  ASSERT_TRUE(UnpublishSecond().ok());
  EXPECT_EQ(tunnel.mounts.size(), 1u);
  EXPECT_TRUE(tunnel.mounts.contains(pods->MountId(Target("b"))));
}

TEST_F(MergedMountsTest, ReconcileClosesAllOfAPodWithoutMounts) {
  PublishBoth();
  ASSERT_TRUE(Unpublish("a").ok());
  tunnel.answer = Error(Code::kUnavailable, "nobody there");
  ASSERT_TRUE(UnpublishSecond().ok());
  tunnel.answer = Ok();
  EXPECT_EQ(tunnel.mounts.size(), 2u);
  volumes->RepairAll();
  EXPECT_TRUE(tunnel.mounts.empty());
}

TEST_F(MergedMountsTest, RenewalsDoNotMountAgain) {
  PublishBoth();
  Restart();
  ASSERT_TRUE(Publish(Second("t2")).ok());
  ASSERT_TRUE(Publish(RequestOf("a", "t2")).ok());
  EXPECT_EQ(host.made(), 2);
  EXPECT_EQ(tunnel.mounts.at(pods->MountId(second)).times, 2);
}

TEST_F(MergedMountsTest, TheAddressOfAnotherAccessPointIsNotItsOwn) {
  PublishBoth("efs:fs-0123456789abcdef0::fsap-0123456789abcdef2");
  ASSERT_TRUE(Publish(Second("t2", "efs:fs-0123456789abcdef0::fsap-0123456789abcdef2")).ok());
  EXPECT_EQ(host.made(), 3);
  EXPECT_EQ(FindMount(*host.Mounts(), second)->source,
            tunnel.mounts.at(pods->MountId(second)).address + ":/");
}

TEST_F(MergedMountsTest, OneThatCannotBeMountedTakesNothingFromTheOther) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  host.mount_answer = Error(Code::kDenied, "Could not mount");
  EXPECT_FALSE(Publish(Second("t1")).ok());
  EXPECT_TRUE(tunnel.mounts.contains(pods->MountId(Target("a"))));
  ASSERT_TRUE(Unpublish("a").ok());
  EXPECT_TRUE(tunnel.mounts.empty());
}

}  // namespace
}  // namespace tarn::csi
