#include "operator/file_system_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn::op {
namespace {

using testing::Contains;
using testing::ElementsAre;

const Settings kSettings{
    .ns = "tarn", .server_image = "tarn:1", .driver_name = "d", .token_audience = "a"};

Json FileSystem(const Json& spec) {
  return {{"metadata", {{"name", "shared"}, {"namespace", "default"}, {"uid", "u-1"}}},
          {"spec", spec}};
}

Json PodOf(const Json& stateful_set) {
  return stateful_set["spec"]["template"]["spec"];
}

TEST(FileSystemStatefulSet, RunsOneRestrictedServerWithItsFlags) {
  Json fs = FileSystem({{"storage", {{"size", "10Gi"}, {"storageClassName", "fast"}}}});
  Json set = FileSystemStatefulSet(kSettings, fs, Json());
  EXPECT_EQ(set["spec"]["replicas"], 1);
  Json pod = PodOf(set);
  EXPECT_EQ(pod["automountServiceAccountToken"], false);
  EXPECT_EQ(pod["securityContext"]["runAsUser"], 65532);
  EXPECT_EQ(pod["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  EXPECT_FALSE(pod.contains("initContainers"));
  ASSERT_EQ(pod["containers"].size(), 1u);
  Json c = pod["containers"][0];
  EXPECT_EQ(c["image"], "tarn:1");
  EXPECT_EQ(c["command"], Json({"/usr/bin/tarn-server"}));
  std::vector<std::string> args = c["args"];
  EXPECT_THAT(args, ElementsAre("--data-dir=/var/lib/tarn/data",
                                "--file-system-id=" + FileSystemIdOf(fs), "--listen=0.0.0.0:2049",
                                "--control-listen=0.0.0.0:9400", "--control-tls-dir=/etc/tarn/tls",
                                "--tls-dir=/etc/tarn/nfs-tls", "--tls=optional", "--network=closed",
                                "--token-issuers=/etc/tarn/token-issuers/issuers.json",
                                "--http-listen=0.0.0.0:9401", "--log-level=info"));
  EXPECT_EQ(c["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_EQ(c["securityContext"]["allowPrivilegeEscalation"], false);
  EXPECT_EQ(c["securityContext"]["capabilities"]["drop"], Json({"ALL"}));
  EXPECT_EQ(c["env"][0]["value"], "unix:/var/lib/tarn/data/control.sock");
  EXPECT_EQ(c["readinessProbe"]["httpGet"]["path"], "/readyz");
  EXPECT_EQ(c["livenessProbe"]["httpGet"]["path"], "/healthz");
  Json claim = set["spec"]["volumeClaimTemplates"][0];
  EXPECT_EQ(claim["spec"]["storageClassName"], "fast");
  EXPECT_EQ(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
  EXPECT_EQ(set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
}

TEST(FileSystemStatefulSet, AHostPathIsPreparedByTheOnlyContainerThatIsRoot) {
  Json fs = FileSystem({{"storage", {{"hostPath", {{"path", "/data"}, {"nodeName", "n1"}}}}}});
  Json set = FileSystemStatefulSet(kSettings, fs, Json());
  EXPECT_FALSE(set["spec"].contains("volumeClaimTemplates"));
  Json pod = PodOf(set);
  ASSERT_EQ(pod["initContainers"].size(), 1u);
  Json init = pod["initContainers"][0];
  EXPECT_EQ(init["args"],
            Json({"--prepare-data-dir=65532:65532", "--data-dir=/var/lib/tarn/data"}));
  EXPECT_EQ(init["securityContext"]["runAsUser"], 0);
  EXPECT_EQ(init["securityContext"]["capabilities"]["drop"], Json({"ALL"}));
  EXPECT_EQ(init["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_FALSE(pod["containers"][0]["securityContext"].contains("runAsUser"));
  Json volume = pod["volumes"][3];
  EXPECT_EQ(volume["hostPath"]["path"], "/data");
  Json term = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                 ["nodeSelectorTerms"][0]["matchFields"][0];
  EXPECT_EQ(term["values"], Json::array({"n1"}));
}

TEST(FileSystemStatefulSet, TakesAClaimThatIsThere) {
  Json fs =
      FileSystem({{"fileSystemId", "fs-0123456789abcdef0"}, {"storage", {{"claimName", "old"}}}});
  Json set = FileSystemStatefulSet(kSettings, fs, Json());
  EXPECT_EQ(PodOf(set)["volumes"][3]["persistentVolumeClaim"]["claimName"], "old");
  EXPECT_EQ(PodOf(set)["containers"][0]["args"][1], "--file-system-id=fs-0123456789abcdef0");
  EXPECT_FALSE(set["spec"].contains("volumeClaimTemplates"));
}

TEST(FileSystemStatefulSet, KeepsTheClaimTemplateOfTheLiveOne) {
  Json small = FileSystem({{"storage", {{"size", "10Gi"}}}});
  Json live = FileSystemStatefulSet(kSettings, small, Json());
  Json grown = FileSystem({{"storage", {{"size", "20Gi"}}}});
  Json set = FileSystemStatefulSet(kSettings, grown, live);
  EXPECT_EQ(set["spec"]["volumeClaimTemplates"], live["spec"]["volumeClaimTemplates"]);
}

TEST(FileSystemStatefulSet, FollowsServerSettings) {
  Json fs = FileSystem({{"availabilityZoneName", "a"},
                        {"storage", {{"size", "1Gi"}}},
                        {"server",
                         {{"image", "mine:2"},
                          {"logLevel", "debug"},
                          {"leaseSeconds", 20},
                          {"nodeSelector", {{"disk", "ssd"}}},
                          {"tolerations", {{{"operator", "Exists"}}}},
                          {"imagePullSecrets", {{{"name", "pull"}}}},
                          {"priorityClassName", "high"},
                          {"resources", {{"limits", {{"memory", "1Gi"}}}}},
                          {"allowEviction", false}}}});
  Json pod = PodOf(FileSystemStatefulSet(kSettings, fs, Json()));
  Json c = pod["containers"][0];
  EXPECT_EQ(c["image"], "mine:2");
  std::vector<std::string> args = c["args"];
  EXPECT_THAT(args, Contains("--lease=20"));
  EXPECT_THAT(args, Contains("--log-level=debug"));
  EXPECT_EQ(c["resources"], Json({{"limits", {{"memory", "1Gi"}}}}));
  EXPECT_EQ(pod["nodeSelector"], Json({{"disk", "ssd"}, {"topology.kubernetes.io/zone", "a"}}));
  EXPECT_EQ(pod["tolerations"].size(), 1u);
  EXPECT_EQ(pod["imagePullSecrets"][0]["name"], "pull");
  EXPECT_EQ(pod["priorityClassName"], "high");
  EXPECT_EQ(FileSystemBudget(fs)["spec"]["maxUnavailable"], 0);
}

TEST(FileSystemStatefulSet, MountsWhatTlsAndTokensNeed) {
  Json fs = FileSystem({{"storage", {{"size", "1Gi"}}}, {"transitEncryption", "required"}});
  Json pod = PodOf(FileSystemStatefulSet(kSettings, fs, Json()));
  std::vector<std::string> args = pod["containers"][0]["args"];
  EXPECT_THAT(args, Contains("--tls=required"));
  EXPECT_EQ(pod["volumes"][1]["secret"]["secretName"], "shared-nfs-tls");
  EXPECT_EQ(pod["volumes"][1]["secret"]["defaultMode"], 0440);
  EXPECT_EQ(pod["volumes"][2]["configMap"]["name"], "shared-token-issuers");
  Json mounts = pod["containers"][0]["volumeMounts"];
  EXPECT_EQ(mounts[2]["mountPath"], "/etc/tarn/nfs-tls");
  EXPECT_EQ(mounts[3]["mountPath"], "/etc/tarn/token-issuers");
  // Part of a directory that kubelet swaps: a subPath would never change.
  EXPECT_FALSE(mounts[2].contains("subPath") || mounts[3].contains("subPath"));
}

TEST(FileSystemStatefulSet, MountsTheKeyOfAnEncryptedOne) {
  Json fs =
      FileSystem({{"storage", {{"size", "1Gi"}}}, {"encrypted", true}, {"kmsKeyID", "my-key"}});
  Json pod = PodOf(FileSystemStatefulSet(kSettings, fs, Json()));
  std::vector<std::string> args = pod["containers"][0]["args"];
  EXPECT_THAT(args, Contains("--key=my-key=file:///etc/tarn/key"));
  EXPECT_THAT(args, Contains("--file-system-key=my-key"));
  EXPECT_EQ(pod["containers"][0]["volumeMounts"][4],
            Json({{"name", "key"}, {"mountPath", "/etc/tarn/key"}, {"readOnly", true}}));
  Json secret = pod["volumes"][3]["secret"];
  EXPECT_EQ(secret["secretName"], "my-key");
  EXPECT_EQ(secret["optional"], true);
  EXPECT_EQ(secret["defaultMode"], 0440);
}

TEST(FileSystemStatefulSet, MountsTheCopyOfTheAccessKeys) {
  Json fs =
      FileSystem({{"storage", {{"size", "1Gi"}}}, {"accessKeysSecretRef", {{"name", "mine"}}}});
  Json pod = PodOf(FileSystemStatefulSet(kSettings, fs, Json()));
  std::vector<std::string> args = pod["containers"][0]["args"];
  EXPECT_THAT(args, Contains("--access-keys=/etc/tarn/access-keys/access-keys.json"));
  EXPECT_EQ(pod["containers"][0]["volumeMounts"][4]["mountPath"], "/etc/tarn/access-keys");
  EXPECT_EQ(pod["volumes"][3]["secret"],
            Json({{"secretName", "shared-nfs-access-keys"}, {"defaultMode", 0440}}));
}

TEST(FileSystemStatefulSet, MountsTheCopyOfTheUserGroups) {
  Json fs =
      FileSystem({{"storage", {{"size", "1Gi"}}}, {"userGroupsConfigMapRef", {{"name", "mine"}}}});
  Json pod = PodOf(FileSystemStatefulSet(kSettings, fs, Json()));
  std::vector<std::string> args = pod["containers"][0]["args"];
  EXPECT_THAT(args, Contains("--user-groups=/etc/tarn/user-groups/user-groups.json"));
  EXPECT_EQ(pod["containers"][0]["volumeMounts"][4]["mountPath"], "/etc/tarn/user-groups");
  EXPECT_EQ(pod["volumes"][3]["configMap"], Json({{"name", "shared-nfs-user-groups"}}));
}

TEST(FileSystemObjects, OnlyWhatCanBeMadeAnewGoesWithItsOwner) {
  Json fs = FileSystem({{"storage", {{"size", "1Gi"}}}});
  EXPECT_FALSE(
      FileSystemStatefulSet(kSettings, fs, Json())["metadata"].contains("ownerReferences"));
  EXPECT_FALSE(FileSystemService(fs, "")["metadata"].contains("ownerReferences"));
  EXPECT_EQ(FileSystemBudget(fs)["metadata"]["ownerReferences"][0]["uid"], "u-1");
  EXPECT_EQ(FileSystemMonitor(fs)["metadata"]["ownerReferences"][0]["uid"], "u-1");
}

TEST(FileSystemObjects, ServiceAndServerAgreeOnTheSelector) {
  Json fs = FileSystem({{"storage", {{"size", "1Gi"}}}});
  Json set = FileSystemStatefulSet(kSettings, fs, Json());
  Json selector = FileSystemService(fs, "10.96.0.9")["spec"]["selector"];
  EXPECT_EQ(set["spec"]["selector"]["matchLabels"], selector);
  for (const auto& [key, value] : selector.items()) {
    EXPECT_EQ(set["spec"]["template"]["metadata"]["labels"][key], value);
  }
  EXPECT_EQ(FileSystemService(fs, "10.96.0.9")["spec"]["clusterIP"], "10.96.0.9");
  EXPECT_EQ(FileSystemDnsName(fs), "shared.default.svc");
}

}  // namespace
}  // namespace tarn::op
