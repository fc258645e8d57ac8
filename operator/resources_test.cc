// MountTarget, AccessPoint and LifecyclePolicy over a file system that serves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;
using testing::HasSubstr;

Json Ref(const std::string& name, Json spec = Json::object()) {
  spec["fileSystemRef"] = {{"name", "shared"}};
  return {{"metadata", {{"name", name}, {"namespace", "default"}}}, {"spec", spec}};
}

Json AccessPoint(const std::string& name) {
  return Ref(
      name,
      {{"posixUser", {{"uid", 1000}, {"gid", 1001}, {"secondaryGids", {7}}}},
       {"rootDirectory",
        {{"path", "/web"},
         {"creationInfo", {{"ownerUid", 1000}, {"ownerGid", 1001}, {"permissions", "0750"}}}}},
       {"quota", {{"size", "1Gi"}, {"files", 100}}},
       {"tags", {{{"key", "Name"}, {"value", "web"}}}}});
}

class ResourcesTest : public testing::Test {
 protected:
  void SetUp() override {
    rig_.Start();
    id_ = rig_.MakeShared();
  }
  bool Becomes(const kube::ResourceType& type, const std::string& name, const std::string& reason) {
    bool did = Eventually([&] { return rig_.Condition(type, name, "Ready", "reason") == reason; });
    if (!did) ADD_FAILURE() << rig_.Get(type, name).dump(1);
    return did;
  }
  std::string StatusOf(const kube::ResourceType& type, const std::string& name,
                       const std::string& field) {
    return Str(Object(rig_.Get(type, name), "status"), field);
  }
  Rig rig_;
  std::string id_;
};

TEST_F(ResourcesTest, AMountTargetIsAServiceAndARegistryEntry) {
  rig_.Create(kMountTarget, Ref("a", {{"availabilityZoneName", "zone-a"}}));
  ASSERT_TRUE(Becomes(kMountTarget, "a", "Available"));
  Json service = rig_.Get(kService, "a-nfs");
  std::string ip = Str(service["spec"], "clusterIP");
  EXPECT_EQ(service["spec"]["selector"]["tarn.dev/file-system-id"], id_);
  EXPECT_EQ(StatusOf(kMountTarget, "a", "ipAddress"), ip);
  EXPECT_EQ(StatusOf(kMountTarget, "a", "dnsName"), "a-nfs.default.svc");
  EXPECT_TRUE(StatusOf(kMountTarget, "a", "mountTargetId").starts_with("fsmt-"));
  EXPECT_TRUE(Eventually([&] {
    Json entry = rig_.RegistryEntry(id_);
    return entry["mountTargets"].size() == 1 && entry["mountTargets"][0]["zone"] == "zone-a" &&
           entry["mountTargets"][0]["nfs"] == ip + ":2049";
  }));
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Get(kFileSystem, "shared")["status"]["numberOfMountTargets"] == 1; }));
  rig_.Delete(kService, "a-nfs");
  EXPECT_TRUE(Eventually(
      [&] { return Str(Object(rig_.Get(kService, "a-nfs"), "spec"), "clusterIP") == ip; }));
  rig_.Delete(kMountTarget, "a");
  EXPECT_TRUE(Eventually([&] { return rig_.RegistryEntry(id_)["mountTargets"].empty(); }));
  EXPECT_TRUE(rig_.Gone(kService, "a-nfs"));
}

TEST_F(ResourcesTest, OneMountTargetAZone) {
  rig_.Create(kMountTarget, Ref("a", {{"availabilityZoneName", "zone-a"}}));
  ASSERT_TRUE(Becomes(kMountTarget, "a", "Available"));
  rig_.Create(kMountTarget, Ref("b", {{"availabilityZoneName", "zone-a"}}));
  ASSERT_TRUE(Becomes(kMountTarget, "b", "Conflict"));
  EXPECT_THAT(rig_.Condition(kMountTarget, "b", "Ready", "message"), HasSubstr("default/a"));
  EXPECT_TRUE(rig_.Gone(kService, "b-nfs"));
  rig_.Create(kMountTarget, Ref("c", {{"availabilityZoneName", "zone-c"}}));
  EXPECT_TRUE(Becomes(kMountTarget, "c", "Available"));
}

TEST_F(ResourcesTest, ALoadBalancersAddressIsWaitedFor) {
  rig_.Create(kMountTarget,
              Ref("lb", {{"service",
                          {{"type", "LoadBalancer"}, {"annotations", {{"internal", "true"}}}}}}));
  ASSERT_TRUE(Becomes(kMountTarget, "lb", "WaitingForAddress"));
  EXPECT_EQ(rig_.Get(kService, "lb-nfs")["metadata"]["annotations"]["internal"], "true");
  rig_.Change(kService, {{"metadata", {{"name", "lb-nfs"}, {"namespace", "default"}}},
                         {"status", {{"loadBalancer", {{"ingress", {{{"ip", "192.0.2.7"}}}}}}}}});
  ASSERT_TRUE(Becomes(kMountTarget, "lb", "Available"));
  EXPECT_EQ(StatusOf(kMountTarget, "lb", "ipAddress"), "192.0.2.7");
}

TEST_F(ResourcesTest, AnAccessPointIsMadeOnTheServer) {
  rig_.Create(kAccessPoint, AccessPoint("web"));
  ASSERT_TRUE(Becomes(kAccessPoint, "web", "Available"));
  auto all = rig_.control.access_points();
  ASSERT_EQ(all.size(), 1u);
  const AccessPointSpec& spec = all.begin()->second.spec;
  EXPECT_EQ(spec.client_token, UidOf(rig_.Get(kAccessPoint, "web")));
  EXPECT_EQ(spec.file_system_id, id_);
  EXPECT_EQ(spec.path, "/web");
  EXPECT_EQ(spec.user->gid, 1001u);
  EXPECT_EQ(spec.user->secondary_gids, std::vector<uint32_t>{7});
  EXPECT_EQ(spec.creation->permissions, "0750");
  EXPECT_EQ(spec.quota_bytes, 1u << 30);
  EXPECT_EQ(spec.quota_files, 100u);
  EXPECT_EQ(StatusOf(kAccessPoint, "web", "accessPointId"), all.begin()->first);
  EXPECT_EQ(StatusOf(kAccessPoint, "web", "name"), "web");
  EXPECT_EQ(rig_.Get(kAccessPoint, "web")["status"]["usage"]["bytes"], 0);
}

TEST_F(ResourcesTest, AnAccessPointFollowsItsQuotaAndComesBackWhenLost) {
  rig_.Create(kAccessPoint, AccessPoint("web"));
  ASSERT_TRUE(Becomes(kAccessPoint, "web", "Available"));
  std::string first = StatusOf(kAccessPoint, "web", "accessPointId");
  rig_.Change(kAccessPoint, {{"metadata", {{"name", "web"}, {"namespace", "default"}}},
                             {"spec", {{"quota", {{"size", "2Gi"}}}}}});
  EXPECT_TRUE(Eventually(
      [&] { return rig_.control.access_points()[first].facts.quota_bytes == 2ull << 30; }));
  rig_.control.Lose(first);
  rig_.Change(kAccessPoint, {{"metadata", {{"name", "web"}, {"namespace", "default"}}},
                             {"spec", {{"quota", {{"size", "3Gi"}}}}}});
  EXPECT_TRUE(Eventually([&] {
    std::string now = StatusOf(kAccessPoint, "web", "accessPointId");
    return now != first && rig_.control.access_points().contains(now);
  }));
}

TEST_F(ResourcesTest, DeletingAnAccessPointInUseIsRefused) {
  rig_.Create(kAccessPoint, AccessPoint("web"));
  ASSERT_TRUE(Becomes(kAccessPoint, "web", "Available"));
  std::string ap = StatusOf(kAccessPoint, "web", "accessPointId");
  rig_.Create(
      kVolume,
      {{"metadata", {{"name", "pv"}}},
       {"spec",
        {{"csi", {{"driver", "efs.csi.tarn.dev"}, {"volumeHandle", "efs:" + id_ + "::" + ap}}}}}});
  rig_.Delete(kAccessPoint, "web");
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kAccessPoint, "web", "DeletionBlocked", "message")
               .find("PersistentVolume pv") != std::string::npos;
  }));
  EXPECT_EQ(rig_.control.access_points().size(), 1u);
  rig_.Delete(kVolume, "pv", "");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kAccessPoint, "web"); }));
  EXPECT_TRUE(rig_.control.access_points().empty());
  EXPECT_FALSE(rig_.control.roots_deleted());
}

TEST_F(ResourcesTest, DeletionPolicyDeleteTakesTheRootAlong) {
  Json ap = AccessPoint("web");
  ap["spec"]["deletionPolicy"] = "Delete";
  rig_.Create(kAccessPoint, ap);
  ASSERT_TRUE(Becomes(kAccessPoint, "web", "Available"));
  rig_.Delete(kAccessPoint, "web");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kAccessPoint, "web"); }));
  EXPECT_TRUE(rig_.control.roots_deleted());
}

TEST_F(ResourcesTest, DeletingWaitsForTheServerUnlessTheFileSystemGoesToo) {
  rig_.Create(kAccessPoint, AccessPoint("web"));
  ASSERT_TRUE(Becomes(kAccessPoint, "web", "Available"));
  rig_.control.SetDown(true);
  rig_.Delete(kAccessPoint, "web");
  EXPECT_TRUE(Becomes(kAccessPoint, "web", "ControlUnreachable"));
  rig_.Delete(kFileSystem, "shared");  // as when the namespace is deleted
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Gone(kAccessPoint, "web") && rig_.Gone(kFileSystem, "shared"); }));
}

TEST_F(ResourcesTest, AnotherNamespaceNeedsLeave) {
  Json ap = AccessPoint("web");
  ap["metadata"]["namespace"] = "web";
  ap["spec"]["fileSystemRef"]["namespace"] = "default";
  rig_.Create(kAccessPoint, ap);
  auto reason = [&] {
    Json object = rig_.Get(kAccessPoint, "web", "web");
    for (const Json& c : kube::Array(Object(object, "status"), "conditions")) {
      if (Str(c, "type") == "Ready") return Str(c, "reason");
    }
    return std::string();
  };
  EXPECT_TRUE(Eventually([&] { return reason() == "Denied"; }));
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"allowedNamespaces", {"web"}}}}});
  EXPECT_TRUE(Eventually([&] { return reason() == "Available"; }));
}

TEST_F(ResourcesTest, AReferenceToNothingSaysSoUntilItComes) {
  Json ap = AccessPoint("early");
  ap["spec"]["fileSystemRef"]["name"] = "later";
  rig_.Create(kAccessPoint, ap);
  EXPECT_TRUE(Becomes(kAccessPoint, "early", "NotFound"));
  rig_.Create(kFileSystem, {{"metadata", {{"name", "later"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Becomes(kAccessPoint, "early", "FileSystemNotReady"));
  rig_.SetServing("later");
  EXPECT_TRUE(Becomes(kAccessPoint, "early", "Available"));
}

TEST_F(ResourcesTest, TheOldestLifecyclePolicyCounts) {
  rig_.Create(kLifecyclePolicy, Ref("one", {{"transitionToIA", "AFTER_30_DAYS"}}));
  ASSERT_TRUE(Becomes(kLifecyclePolicy, "one", "Applied"));
  EXPECT_EQ(rig_.control.lifecycle()[id_].to_ia, "AFTER_30_DAYS");
  Json two = Ref("two", {{"transitionToIA", "AFTER_7_DAYS"}});
  two["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z";
  rig_.Create(kLifecyclePolicy, two);
  ASSERT_TRUE(Becomes(kLifecyclePolicy, "two", "Conflict"));
  EXPECT_EQ(rig_.control.lifecycle()[id_].to_ia, "AFTER_30_DAYS");
  rig_.Delete(kLifecyclePolicy, "one");
  ASSERT_TRUE(Becomes(kLifecyclePolicy, "two", "Applied"));
  EXPECT_EQ(rig_.control.lifecycle()[id_].to_ia, "AFTER_7_DAYS");
  rig_.Delete(kLifecyclePolicy, "two");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kLifecyclePolicy, "two"); }));
  EXPECT_EQ(rig_.control.lifecycle()[id_].to_ia, "");
}

}  // namespace
}  // namespace tarn::op
