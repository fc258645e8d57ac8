#include "operator/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/file_system_objects.h"
#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;
using testing::HasSubstr;

Json Volume(const std::string& name, const std::string& handle,
            const std::string& driver = "efs.csi.tarn.dev") {
  return {{"metadata", {{"name", name}}},
          {"spec",
           {{"csi", {{"driver", driver}, {"volumeHandle", handle}}},
            {"claimRef", {{"namespace", "web"}, {"name", "data"}}}}}};
}

Json Ref(const std::string& name, Json spec = Json::object()) {
  spec["fileSystemRef"] = {{"name", "shared"}};
  return {{"metadata", {{"name", name}}}, {"spec", spec}};
}

class FileSystemTest : public testing::Test {
 protected:
  std::string Reason() { return rig_.Condition(kFileSystem, "shared", "Ready", "reason"); }
  bool Blocked() {
    return Eventually(
        [&] { return rig_.Condition(kFileSystem, "shared", "DeletionBlocked") == "True"; });
  }
  std::string Why() { return rig_.Condition(kFileSystem, "shared", "DeletionBlocked", "message"); }
  void AddClaim(const std::string& owner_uid) {
    rig_.Create(kClaim, {{"metadata",
                          {{"name", "data-shared-0"}, {"labels", {{kOwnerUidLabel, owner_uid}}}}},
                         {"spec", {{"resources", {{"requests", {{"storage", "10Gi"}}}}}}}});
  }
  Rig rig_;
};

TEST_F(FileSystemTest, BecomesAServerAnAddressAndARegistryEntry) {
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  ASSERT_TRUE(Eventually([&] { return Reason() == "ServerNotReady"; }));
  EXPECT_FALSE(rig_.Gone(kStatefulSet, "shared"));
  EXPECT_FALSE(rig_.Gone(kBudget, "shared"));
  EXPECT_FALSE(rig_.Gone(kSecret, "shared-control-tls"));
  rig_.control.SetSize(4096);
  rig_.SetServing("shared");
  ASSERT_TRUE(Eventually([&] { return Reason() == "Available"; }));
  Json fs = rig_.Get(kFileSystem, "shared");
  EXPECT_TRUE(HasFinalizer(fs));
  Json status = fs["status"];
  std::string id = FileSystemIdOf(fs);
  EXPECT_EQ(status["fileSystemId"], id);
  EXPECT_EQ(status["endpoint"], rig_.Get(kService, "shared")["spec"]["clusterIP"]);
  EXPECT_EQ(status["lifeCycleState"], "available");
  EXPECT_EQ(status["sizeInBytes"]["value"], 4096);
  EXPECT_EQ(status["numberOfMountTargets"], 0);
  EXPECT_EQ(status["observedGeneration"], 1);
  Json entry = rig_.RegistryEntry(id);
  EXPECT_EQ(entry["nfs"], Str(status, "endpoint") + ":2049");
  EXPECT_EQ(entry["control"], Str(status, "endpoint") + ":9400");
  EXPECT_EQ(entry["namespace"], "default");
  EXPECT_EQ(entry["name"], "shared");
  EXPECT_TRUE(rig_.control.has_credentials());
  for (const char* client :
       {"tarn-control-operator", "tarn-control-provisioner", "tarn-control-admin"}) {
    EXPECT_FALSE(rig_.Get(kSecret, client, "tarn").is_null()) << client;
  }
}

TEST_F(FileSystemTest, SaysWhyItsPodDoesNotRun) {
  rig_.Create(
      kPod,
      {{"metadata", {{"name", "shared-0"}}},
       {"status",
        {{"containerStatuses",
          {{{"state",
             {{"waiting", {{"reason", "ImagePullBackOff"}, {"message", "no such image"}}}}}}}}}}});
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "Ready", "message") ==
           "pod shared-0: ImagePullBackOff: no such image";
  }));
}

TEST_F(FileSystemTest, SaysWhatAServerThatEndsSaid) {
  rig_.Create(
      kPod,
      {{"metadata", {{"name", "shared-0"}}},
       {"status",
        {{"containerStatuses",
          {{{"state", {{"waiting", {{"reason", "CrashLoopBackOff"}, {"message", "back-off 10s"}}}}},
            {"lastState", {{"terminated", {{"message", "data-dir: no space left"}}}}}}}}}}});
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "Ready", "message") ==
           "pod shared-0: CrashLoopBackOff: data-dir: no space left";
  }));
}

TEST_F(FileSystemTest, WhatIsDeletedOrChangedIsPutBack) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  std::string ip = rig_.Get(kService, "shared")["spec"]["clusterIP"];
  rig_.Delete(kService, "shared");
  EXPECT_TRUE(Eventually([&] {
    Json service = rig_.Get(kService, "shared");
    return Str(Object(service, "spec"), "clusterIP") == ip;  // the address that clients have
  }));
  rig_.Delete(kConfigMap, kRegistryName, "tarn");
  EXPECT_TRUE(Eventually([&] { return rig_.RegistryEntry(id).is_object(); }));
  rig_.Delete(kBudget, "shared");
  EXPECT_TRUE(Eventually([&] { return !rig_.Gone(kBudget, "shared"); }));
  rig_.Change(kStatefulSet, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                             {"spec", {{"replicas", 3}}}});
  EXPECT_TRUE(
      Eventually([&] { return rig_.Get(kStatefulSet, "shared")["spec"]["replicas"] == 1; }));
  rig_.Delete(kStatefulSet, "shared");
  EXPECT_TRUE(Eventually([&] { return !rig_.Gone(kStatefulSet, "shared"); }));
}

TEST_F(FileSystemTest, AServerThatDoesNotAnswerIsAConditionUntilItDoes) {
  rig_.Start();
  rig_.MakeShared();
  rig_.control.SetDown(true);
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"throughputMode", "bursting"}}}});
  EXPECT_TRUE(Eventually([&] { return Reason() == "ControlUnreachable"; }));
  rig_.control.SetDown(false);
  EXPECT_TRUE(Eventually([&] { return Reason() == "Available"; }));
  EXPECT_EQ(rig_.control.throughput_mode(), "bursting");
}

TEST_F(FileSystemTest, ALockedFileSystemIsNotReadyAndSaysWhy) {
  rig_.Start();
  rig_.MakeShared();
  rig_.control.SetError("locked: its key 'k' was taken away");
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"throughputMode", "bursting"}}}});
  EXPECT_TRUE(Eventually([&] { return Reason() == "FileSystemError"; }));
  EXPECT_THAT(rig_.Condition(kFileSystem, "shared", "Ready", "message"), HasSubstr("taken away"));
  rig_.control.SetError("");
  EXPECT_TRUE(Eventually([&] { return Reason() == "Available"; }));
}

TEST_F(FileSystemTest, SomebodyElsesServiceIsNotTakenOver) {
  rig_.Create(kService, {{"metadata", {{"name", "shared"}}}, {"spec", {{"clusterIP", "1.2.3.4"}}}});
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually([&] { return Reason() == "Conflict"; }));
  EXPECT_THAT(rig_.Condition(kFileSystem, "shared", "Ready", "message"),
              HasSubstr("Service default/shared"));
  EXPECT_FALSE(rig_.Get(kService, "shared")["spec"].contains("selector"));
}

TEST_F(FileSystemTest, AnEarlierFileSystemsDataIsNotTakenOver) {
  AddClaim("another");
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  EXPECT_TRUE(Eventually([&] { return Reason() == "Conflict"; }));
  EXPECT_TRUE(rig_.Gone(kStatefulSet, "shared"));
}

TEST_F(FileSystemTest, TwoOfOneIdDoNotServeIt) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  Json spec = SharedSpec();
  spec["fileSystemId"] = id;
  rig_.Create(kFileSystem, {{"metadata", {{"name", "twin"}}}, {"spec", spec}});
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "twin", "Ready", "reason") == "Conflict"; }));
  EXPECT_TRUE(rig_.Gone(kStatefulSet, "twin"));
}

TEST_F(FileSystemTest, ItsVolumeGrows) {
  rig_.Start();
  rig_.MakeShared();
  AddClaim(UidOf(rig_.Get(kFileSystem, "shared")));
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"storage", {{"size", "20Gi"}}}}}});
  EXPECT_TRUE(Eventually([&] {
    return rig_.Get(kClaim, "data-shared-0")["spec"]["resources"]["requests"]["storage"] == "20Gi";
  }));
  EXPECT_EQ(
      rig_.Get(
          kStatefulSet,
          "shared")["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"],
      "10Gi");
}

TEST_F(FileSystemTest, ItsPolicyFollowsTheSpec) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  auto change = [&](const Json& policy) {
    rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                              {"spec", {{"policy", policy}}}});
  };
  auto applied = [&] {
    return Object(rig_.Get(kFileSystem, "shared"), "status").value("policyApplied", false);
  };
  rig_.control.PutPolicy(id, "by hand");
  change("one");
  ASSERT_TRUE(Eventually([&] { return rig_.control.policies()[id] == "one" && applied(); }));
  change("wrong");
  ASSERT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "PolicyApplied", "reason") == "Refused";
  }));
  EXPECT_THAT(rig_.Condition(kFileSystem, "shared", "PolicyApplied", "message"),
              HasSubstr("spec.policy: policy: is no JSON"));
  EXPECT_EQ(rig_.control.policies()[id], "one") << "it stays in force";
  EXPECT_EQ(rig_.Condition(kFileSystem, "shared", "Ready"), "True");
  change("two");
  ASSERT_TRUE(Eventually([&] {
    return rig_.control.policies()[id] == "two" &&
           rig_.Condition(kFileSystem, "shared", "PolicyApplied").empty();
  }));
  change(nullptr);
  ASSERT_TRUE(Eventually([&] { return rig_.control.policies().empty() && !applied(); }));
}

TEST_F(FileSystemTest, APolicyPutByOtherMeansStays) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  rig_.control.PutPolicy(id, "by hand");
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"tags", {{{"key", "a"}, {"value", "1"}}}}}}});
  ASSERT_TRUE(Eventually([&] { return rig_.control.tags()[id].size() == 1; }));
  EXPECT_EQ(rig_.control.policies()[id], "by hand");
}

TEST_F(FileSystemTest, WithAWrongFirstPolicyNobodyFindsIt) {
  rig_.Start();
  Json spec = SharedSpec();
  spec["policy"] = "wrong";
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", spec}});
  rig_.SetServing("shared");
  ASSERT_TRUE(Eventually([&] { return Reason() == "Invalid"; }));
  std::string id = FileSystemIdOf(rig_.Get(kFileSystem, "shared"));
  EXPECT_TRUE(rig_.RegistryEntry(id).is_null());
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"policy", "right"}}}});
  EXPECT_TRUE(Eventually([&] { return rig_.RegistryEntry(id).is_object(); }));
  EXPECT_EQ(rig_.control.policies()[id], "right");
}

TEST_F(FileSystemTest, DeletingGoesOnByItselfWhenNobodyUsesItAnyMore) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  AddClaim(UidOf(rig_.Get(kFileSystem, "shared")));
  rig_.Create(kVolume, Volume("pv-1", "efs:" + id + "::fsap-1"));
  rig_.Create(kVolume, Volume("pv-2", "efs:" + id + "::fsap-1", "another.driver"));
  rig_.Create(kMountTarget, Ref("mt"));
  rig_.Create(kAccessPoint, Ref("ap", {{"rootDirectory", {{"path", "/ap"}}}}));
  ASSERT_TRUE(Eventually([&] {
    return rig_.Condition(kAccessPoint, "ap", "Ready") == "True" &&
           rig_.Condition(kMountTarget, "mt", "Ready") == "True";
  }));
  rig_.Delete(kFileSystem, "shared");
  ASSERT_TRUE(Blocked());
  EXPECT_THAT(Why(), HasSubstr("PersistentVolume pv-1 (claim web/data)"));
  EXPECT_THAT(Why(), HasSubstr("AccessPoint default/ap"));
  EXPECT_THAT(Why(), HasSubstr("MountTarget default/mt"));
  EXPECT_THAT(Why(), Not(HasSubstr("pv-2")));
  // Refused, it serves on.
  EXPECT_TRUE(rig_.RegistryEntry(id).is_object());
  rig_.Delete(kService, "shared");
  EXPECT_TRUE(Eventually([&] { return !rig_.Gone(kService, "shared"); }));

  rig_.Delete(kAccessPoint, "ap");
  rig_.Delete(kMountTarget, "mt");
  EXPECT_TRUE(Eventually([&] { return Why().find("AccessPoint") == std::string::npos; }));
  EXPECT_FALSE(rig_.Gone(kFileSystem, "shared"));
  rig_.Delete(kVolume, "pv-1", "");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kFileSystem, "shared"); }));
  EXPECT_TRUE(rig_.Gone(kStatefulSet, "shared"));
  EXPECT_TRUE(rig_.Gone(kService, "shared"));
  EXPECT_TRUE(rig_.Gone(kBudget, "shared"));
  EXPECT_TRUE(rig_.Gone(kSecret, "shared-control-tls"));
  EXPECT_TRUE(rig_.Gone(kClaim, "data-shared-0"));
  EXPECT_TRUE(rig_.RegistryEntry(id).is_null());
}

// What the operator remembers of the first one's Secrets and ConfigMap is not the second one's.
TEST_F(FileSystemTest, OneMadeAnewUnderItsNameIsServedAtOnce) {
  rig_.Start();
  rig_.MakeShared();
  rig_.Delete(kFileSystem, "shared");
  ASSERT_TRUE(Eventually([&] { return rig_.Gone(kFileSystem, "shared"); }));
  // As the garbage collector does.
  for (const char* name : {"shared-control-tls", "shared-nfs-tls"}) rig_.Delete(kSecret, name);
  rig_.Delete(kConfigMap, "shared-token-issuers");
  rig_.MakeShared();
  EXPECT_EQ(rig_.Condition(kFileSystem, "shared", "Ready"), "True");
}

TEST_F(FileSystemTest, RetainKeepsTheVolume) {
  rig_.Start();
  rig_.MakeShared();
  AddClaim(UidOf(rig_.Get(kFileSystem, "shared")));
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"deletionPolicy", "Retain"}}}});
  rig_.Delete(kFileSystem, "shared");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kFileSystem, "shared"); }));
  EXPECT_FALSE(rig_.Gone(kClaim, "data-shared-0"));
}

TEST_F(FileSystemTest, AVolumeThatOnlyTheApiServerKnowsOfBlocksAsWell) {
  rig_.Start();
  std::string id = rig_.MakeShared();
  rig_.cluster.CutWatches();
  rig_.Create(kVolume, Volume("pv-new", "fs-x"));  // whichever comes first, the watch or the list
  rig_.Create(kVolume, Volume("pv-new2", "efs:" + id));
  rig_.Delete(kFileSystem, "shared");
  ASSERT_TRUE(Blocked());
  EXPECT_THAT(Why(), HasSubstr("pv-new2"));
  EXPECT_THAT(Why(), Not(HasSubstr("pv-new ")));
}

TEST_F(FileSystemTest, ARegistryEntryOfNobodyGoes) {
  Json entry = {{"namespace", "default"}, {"name", "ghost"}};
  rig_.Create(kConfigMap, {{"metadata",
                            {{"name", kRegistryName},
                             {"namespace", "tarn"},
                             {"labels", {{kManagedByLabel, kManagedBy}}}}},
                           {"data", {{"fs-0.json", entry.dump()}}}});
  rig_.Start();
  EXPECT_TRUE(Eventually([&] { return rig_.RegistryEntry("fs-0").is_null(); }));
}

}  // namespace
}  // namespace tarn::op
