#include "operator/file_system_objects.h"

#include "operator/control_tls.h"
#include "operator/nfs_tls.h"
#include "operator/server_files.h"
#include "operator/token_issuers.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Bool;
using kube::Int;
using kube::Object;
using kube::Str;

const char* kVolumeDir = "/var/lib/tarn";
// Below the volume's root: that may hold lost+found and belong to root.
const char* kDataDir = "/var/lib/tarn/data";
const char* kControlSocket = "/var/lib/tarn/data/control.sock";  // the server's default
const char* kTlsDir = "/etc/tarn/tls";
const char* kNfsTlsDir = "/etc/tarn/nfs-tls";
const char* kIssuersDir = "/etc/tarn/token-issuers";
const char* kKeyDir = "/etc/tarn/key";
// RocksDB's recovery of a large log takes its time; only then does the liveness probe begin.
constexpr int kMaxStartSeconds = 600;
constexpr int kGraceSeconds = 30;

std::string Flag(const std::string& name, const std::string& value) {
  return "--" + name + "=" + value;
}

Json Probe(const char* path, int period, int failures) {
  return {{"httpGet", {{"path", path}, {"port", "http"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 5},
          {"failureThreshold", failures}};
}

Json Restricted() {
  return {{"allowPrivilegeEscalation", false},
          {"readOnlyRootFilesystem", true},
          {"capabilities", {{"drop", {"ALL"}}}}};
}

std::string ImageOf(const Settings& settings, const Json& server) {
  std::string image = Str(server, "image");
  return image.empty() ? settings.server_image : image;
}

// The Secret with the key that an encrypted one is made with; empty: it is not encrypted.
std::string KeySecretOf(const Json& fs) {
  const Json& spec = Object(fs, "spec");
  return Bool(spec, "encrypted", false) ? Str(spec, "kmsKeyID") : "";
}

// `optional`: a Secret that is gone takes the key away from the running server, too, and does not
// keep a pod from starting, which then says what it lacks.
Json KeyVolume(const std::string& secret) {
  return {{"name", "key"},
          {"secret", {{"secretName", secret}, {"defaultMode", 0440}, {"optional", true}}}};
}

// Mode 0440 and fsGroup: what is in it is readable to the server's user alone.
Json SecretVolume(const char* name, const std::string& secret) {
  return {{"name", name}, {"secret", {{"secretName", secret}, {"defaultMode", 0440}}}};
}

Json ConfigMapVolume(const char* name, const std::string& map) {
  return {{"name", name}, {"configMap", {{"name", map}}}};
}

Json ServerContainer(const Settings& settings, const Json& fs) {
  const Json& server = Object(Object(fs, "spec"), "server");
  std::string log_level = Str(server, "logLevel");
  std::string encryption = Str(Object(fs, "spec"), "transitEncryption");
  Json args = {Flag("data-dir", kDataDir),
               Flag("file-system-id", FileSystemIdOf(fs)),
               Flag("listen", JoinHostPort("0.0.0.0", kNfsPort)),
               Flag("control-listen", JoinHostPort("0.0.0.0", kControlPort)),
               Flag("control-tls-dir", kTlsDir),
               Flag("tls-dir", kNfsTlsDir),
               Flag("tls", encryption.empty() ? "optional" : encryption),
               Flag("network", "closed"),
               Flag("token-issuers", kIssuersDir + ("/" + kIssuersEntry)),
               Flag("http-listen", JoinHostPort("0.0.0.0", kHttpPort)),
               Flag("log-level", log_level.empty() ? "info" : log_level)};
  if (int64_t lease = Int(server, "leaseSeconds"); lease > 0) {
    args.push_back(Flag("lease", std::to_string(lease)));
  }
  Json mounts = {{{"name", "data"}, {"mountPath", kVolumeDir}},
                 {{"name", "control-tls"}, {"mountPath", kTlsDir}, {"readOnly", true}},
                 {{"name", "nfs-tls"}, {"mountPath", kNfsTlsDir}, {"readOnly", true}},
                 {{"name", "token-issuers"}, {"mountPath", kIssuersDir}, {"readOnly", true}}};
  for (const ServerFile& file : ServerFiles()) {
    if (file.Named(fs).empty()) continue;
    const std::string directory = std::string("/etc/tarn/") + file.flag;
    args.push_back(Flag(file.flag, directory + "/" + file.Entry()));
    mounts.push_back({{"name", file.flag}, {"mountPath", directory}, {"readOnly", true}});
  }
  if (std::string key = KeySecretOf(fs); !key.empty()) {
    args.push_back(Flag("key", key + "=file://" + kKeyDir));
    args.push_back(Flag("file-system-key", key));
    mounts.push_back({{"name", "key"}, {"mountPath", kKeyDir}, {"readOnly", true}});
  }
  Json resources = Object(server, "resources");
  if (resources.empty()) resources = {{"requests", {{"cpu", "50m"}, {"memory", "128Mi"}}}};
  return {{"name", "server"},
          {"image", ImageOf(settings, server)},
          {"command", {"/usr/bin/tarn-server"}},
          {"args", args},
          // For tarnctl in `kubectl exec`.
          {"env", {{{"name", "TARN_SERVER"}, {"value", std::string("unix:") + kControlSocket}}}},
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"ports",
           {{{"name", "nfs"}, {"containerPort", kNfsPort}, {"protocol", "TCP"}},
            {{"name", "control"}, {"containerPort", kControlPort}, {"protocol", "TCP"}},
            {{"name", "http"}, {"containerPort", kHttpPort}, {"protocol", "TCP"}}}},
          {"startupProbe", Probe("/healthz", 1, kMaxStartSeconds)},
          {"livenessProbe", Probe("/healthz", 10, 6)},
          {"readinessProbe", Probe("/readyz", 2, 3)},
          {"securityContext", Restricted()},
          {"resources", resources},
          {"volumeMounts", mounts}};
}

// The one container that runs as root, and only for as long as it takes to give a host's directory
// to the server's user.
Json PrepareContainer(const Settings& settings, const Json& fs) {
  Json security = Restricted();
  security["runAsUser"] = 0;
  security["runAsGroup"] = 0;
  security["runAsNonRoot"] = false;
  security["capabilities"]["add"] = {"CHOWN", "DAC_OVERRIDE", "FOWNER"};
  std::string owner = std::to_string(kServerUser) + ":" + std::to_string(kServerUser);
  return {{"name", "prepare-data-dir"},
          {"image", ImageOf(settings, Object(Object(fs, "spec"), "server"))},
          {"command", {"/usr/bin/tarn-server"}},
          {"args", {Flag("prepare-data-dir", owner), Flag("data-dir", kDataDir)}},
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"securityContext", security},
          {"resources", {{"requests", {{"cpu", "10m"}, {"memory", "32Mi"}}}}},
          {"volumeMounts", {{{"name", "data"}, {"mountPath", kVolumeDir}}}}};
}

// Where the pod may run and how; from spec.server and spec.storage.
void Schedule(const Json& fs, Json& pod) {
  const Json& spec = Object(fs, "spec");
  const Json& server = Object(spec, "server");
  Json selector = Object(server, "nodeSelector");
  if (std::string zone = Str(spec, "availabilityZoneName"); !zone.empty()) {
    selector["topology.kubernetes.io/zone"] = zone;
  }
  if (!selector.empty()) pod["nodeSelector"] = selector;
  for (const char* list : {"tolerations", "imagePullSecrets"}) {
    if (const Json& items = Array(server, list); !items.empty()) pod[list] = items;
  }
  if (std::string priority = Str(server, "priorityClassName"); !priority.empty()) {
    pod["priorityClassName"] = priority;
  }
  const Json& host = Object(Object(spec, "storage"), "hostPath");
  if (host.empty()) return;
  // By the node's name itself: the hostname label may differ from it.
  Json term = {
      {"matchFields",
       {{{"key", "metadata.name"}, {"operator", "In"}, {"values", {Str(host, "nodeName")}}}}}};
  pod["affinity"] = {
      {"nodeAffinity",
       {{"requiredDuringSchedulingIgnoredDuringExecution", {{"nodeSelectorTerms", {term}}}}}}};
}

Json PodSpec(const Settings& settings, const Json& fs) {
  const Json& storage = Object(Object(fs, "spec"), "storage");
  const Json& host = Object(storage, "hostPath");
  Json pod = {{"automountServiceAccountToken", false},
              {"enableServiceLinks", false},
              {"terminationGracePeriodSeconds", kGraceSeconds},
              {"securityContext",
               {{"runAsNonRoot", true},
                {"runAsUser", kServerUser},
                {"runAsGroup", kServerUser},
                {"fsGroup", kServerUser},
                {"fsGroupChangePolicy", "OnRootMismatch"},
                {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
              {"containers", {ServerContainer(settings, fs)}},
              {"volumes",
               {SecretVolume("control-tls", ServerSecretName(fs)),
                SecretVolume("nfs-tls", NfsSecretName(fs)),
                ConfigMapVolume("token-issuers", IssuersMapName(fs))}}};
  for (const ServerFile& file : ServerFiles()) {
    if (file.Named(fs).empty()) continue;
    pod["volumes"].push_back(file.secret ? SecretVolume(file.flag, file.CopyName(fs))
                                         : ConfigMapVolume(file.flag, file.CopyName(fs)));
  }
  if (std::string key = KeySecretOf(fs); !key.empty()) pod["volumes"].push_back(KeyVolume(key));
  if (!host.empty()) {
    pod["initContainers"] = {PrepareContainer(settings, fs)};
    pod["volumes"].push_back(
        {{"name", "data"},
         {"hostPath", {{"path", Str(host, "path")}, {"type", "DirectoryOrCreate"}}}});
  } else if (std::string claim = Str(storage, "claimName"); !claim.empty()) {
    pod["volumes"].push_back({{"name", "data"}, {"persistentVolumeClaim", {{"claimName", claim}}}});
  }
  Schedule(fs, pod);
  return pod;
}

Json ClaimTemplate(const Json& fs) {
  const Json& storage = Object(Object(fs, "spec"), "storage");
  Json claim = {{"metadata",
                 {{"name", "data"},
                  {"labels",
                   {{kManagedByLabel, kManagedBy},
                    {kFileSystemLabel, kube::NameOf(fs).name},
                    {kOwnerUidLabel, UidOf(fs)}}}}},
                {"spec",
                 {{"accessModes", {"ReadWriteOnce"}},
                  {"resources", {{"requests", {{"storage", Str(storage, "size")}}}}}}}};
  if (std::string c = Str(storage, "storageClassName"); !c.empty()) {
    claim["spec"]["storageClassName"] = c;
  }
  return claim;
}

}  // namespace

std::string FileSystemDnsName(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  return name.name + "." + name.ns + ".svc";
}

ObjectName DataClaim(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  return {name.ns, "data-" + name.name + "-0"};
}

Json FileSystemService(const Json& fs, const std::string& cluster_ip) {
  auto port = [](const char* name, int number) {
    return Json{{"name", name}, {"port", number}, {"targetPort", name}, {"protocol", "TCP"}};
  };
  Json metadata = ChildMetadata(fs, kFileSystem, kube::NameOf(fs).name, Gone::kByReconciler);
  // One server and clients that wait for it: readiness at the endpoints would only make a restart
  // longer for them.
  Json spec = {
      {"type", "ClusterIP"},
      {"selector", SelectorLabels(FileSystemIdOf(fs))},
      {"publishNotReadyAddresses", true},
      {"ports", {port("nfs", kNfsPort), port("control", kControlPort), port("http", kHttpPort)}}};
  metadata["labels"].update(SelectorLabels(FileSystemIdOf(fs)));
  if (!cluster_ip.empty()) spec["clusterIP"] = cluster_ip;
  return {{"metadata", metadata}, {"spec", spec}};
}

Json FileSystemStatefulSet(const Settings& settings, const Json& fs, const Json& live) {
  std::string name = kube::NameOf(fs).name;
  Json selector = SelectorLabels(FileSystemIdOf(fs));
  Json pod_labels = selector;
  pod_labels["app.kubernetes.io/part-of"] = "tarn";
  pod_labels[kFileSystemLabel] = name;
  Json spec = {{"replicas", 1},
               {"serviceName", name},
               // With one replica the same as the other policy, but a broken revision is replaced.
               {"podManagementPolicy", "Parallel"},
               {"updateStrategy", {{"type", "RollingUpdate"}}},
               {"revisionHistoryLimit", 3},
               // Only the reconciler takes data away, once nobody uses it.
               {"persistentVolumeClaimRetentionPolicy",
                {{"whenDeleted", "Retain"}, {"whenScaled", "Retain"}}},
               {"selector", {{"matchLabels", selector}}},
               {"template",
                {{"metadata",
                  {{"labels", pod_labels},
                   {"annotations", {{"kubectl.kubernetes.io/default-container", "server"}}}}},
                 {"spec", PodSpec(settings, fs)}}}};
  if (!Str(Object(Object(fs, "spec"), "storage"), "size").empty()) {
    Json templates = Json::array({ClaimTemplate(fs)});
    for (const Json& there : Array(Object(live, "spec"), "volumeClaimTemplates")) {
      templates[0]["spec"]["resources"] = Object(Object(there, "spec"), "resources");
    }
    spec["volumeClaimTemplates"] = templates;
  }
  Json metadata = ChildMetadata(fs, kFileSystem, name, Gone::kByReconciler);
  metadata["labels"].update(selector);
  return {{"metadata", metadata}, {"spec", spec}};
}

Json FileSystemBudget(const Json& fs) {
  bool allow = Bool(Object(Object(fs, "spec"), "server"), "allowEviction", true);
  return {{"metadata", ChildMetadata(fs, kFileSystem, kube::NameOf(fs).name, Gone::kWithOwner)},
          {"spec",
           {{"maxUnavailable", allow ? 1 : 0},
            {"unhealthyPodEvictionPolicy", "AlwaysAllow"},
            {"selector", {{"matchLabels", SelectorLabels(FileSystemIdOf(fs))}}}}}};
}

Json FileSystemMonitor(const Json& fs) {
  return {{"metadata", ChildMetadata(fs, kFileSystem, kube::NameOf(fs).name, Gone::kWithOwner)},
          {"spec",
           {{"selector", {{"matchLabels", SelectorLabels(FileSystemIdOf(fs))}}},
            {"endpoints", {{{"port", "http"}, {"path", "/metrics"}}}}}}};
}

}  // namespace tarn::op
