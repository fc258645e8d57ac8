#include "cli/cluster_lookup.h"

#include <algorithm>

#include "common/volume_handle.h"
#include "operator/kube/text.h"

namespace tarn::cli {
namespace {

using kube::Array;
using kube::Int;
using kube::Json;
using kube::Object;
using kube::Str;

const kube::ResourceType kPods{"", "v1", "pods", "Pod"};
const kube::ResourceType kClaims{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};
const kube::ResourceType kVolumes{"", "v1", "persistentvolumes", "PersistentVolume", false};
const kube::ResourceType kConfigMaps{"", "v1", "configmaps", "ConfigMap"};
const kube::ResourceType kSecrets{"", "v1", "secrets", "Secret"};
constexpr char kRegistry[] = "tarn-file-systems";
constexpr char kControlClient[] = "tarn-control-admin";

Result<Json> Get(kube::Client& client, const kube::ResourceType& type,
                 const kube::ObjectName& name) {
  auto found = client.Get(type, name);
  if (found.ok()) return found;
  const std::string what = type.kind + " " + name.Key();
  if (found.code() == Code::kNotFound) return Error(Code::kNotFound, "there is no " + what);
  return Error(found.code(), what + ": " + found.error().message());
}

// A number of the container's security context, else of the pod's.
uint32_t Number(const Json& pod_spec, const char* field) {
  const Json& containers = Array(pod_spec, "containers");
  const Json& pod = Object(pod_spec, "securityContext");
  const Json& own = containers.empty() ? pod : Object(containers.front(), "securityContext");
  return static_cast<uint32_t>(Int(own, field, Int(pod, field)));
}

}  // namespace

Result<PodFacts> FindPod(kube::Client& client, const kube::ObjectName& pod,
                         const std::string& claim) {
  TRY(Json found, Get(client, kPods, pod));
  const Json& spec = Object(found, "spec");
  PodFacts facts;
  facts.name = pod.Key();
  const std::string account = Str(spec, "serviceAccountName");
  facts.service_account = pod.ns + "/" + (account.empty() ? "default" : account);
  facts.node_ip = Str(Object(found, "status"), "hostIP");
  const Json& volumes = Array(spec, "volumes");
  facts.mounts_claim = std::any_of(volumes.begin(), volumes.end(), [&](const Json& volume) {
    return Str(Object(volume, "persistentVolumeClaim"), "claimName") == claim;
  });
  facts.uid = Number(spec, "runAsUser");
  facts.gid = Number(spec, "runAsGroup");
  const Json& context = Object(spec, "securityContext");
  if (context.contains("fsGroup")) {
    facts.gids.push_back(static_cast<uint32_t>(Int(context, "fsGroup")));
  }
  for (const Json& gid : Array(context, "supplementalGroups")) {
    if (gid.is_number_unsigned()) facts.gids.push_back(gid.get<uint32_t>());
  }
  return facts;
}

Result<ClaimFacts> FindClaim(kube::Client& client, const kube::ObjectName& claim) {
  TRY(Json found, Get(client, kClaims, claim));
  const std::string volume = Str(Object(found, "spec"), "volumeName");
  if (volume.empty()) {
    return Error(Code::kUnavailable, "claim " + claim.Key() +
                                         " is not bound to a volume yet: kubectl describe pvc " +
                                         claim.name + " says why");
  }
  TRY(Json bound, Get(client, kVolumes, {"", volume}));
  const Json& csi = Object(Object(bound, "spec"), "csi");
  const std::string handle = Str(csi, "volumeHandle");
  ClaimFacts facts{.file_system_id = FileSystemIdOfHandle(handle),
                   .access_point_id = AccessPointIdOfHandle(handle)};
  if (facts.file_system_id.empty()) {
    return Error(Code::kInvalid, "claim " + claim.Key() + " is bound to volume " + volume +
                                     ", which is none of Tarn's (its handle is '" + handle + "')");
  }
  for (const auto& [name, value] : Object(csi, "volumeAttributes").items()) {
    if (!IsAttribute(name, "encryptintransit") || !value.is_string()) continue;
    facts.encrypted = ParseAttributeFlag(value.get<std::string>()).value_or(true);
  }
  return facts;
}

Result<ServerFacts> FindServer(kube::Client& client, const std::string& system_namespace,
                               const std::string& file_system_id) {
  TRY(Json registry, Get(client, kConfigMaps, {system_namespace, kRegistry}));
  const std::string text = Str(Object(registry, "data"), file_system_id + ".json");
  if (text.empty()) {
    return Error(Code::kNotFound, file_system_id + " is not in the registry, ConfigMap " +
                                      system_namespace + "/" + kRegistry +
                                      ": is its FileSystem Ready?");
  }
  TRY(Json entry, kube::ParseJson(text));
  TRY(Json secret, Get(client, kSecrets, {system_namespace, kControlClient}));
  const Json& data = Object(secret, "data");
  ServerFacts facts{.control = Str(entry, "control"), .pems = {}};
  TRY(facts.pems.ca, kube::DecodeBase64(Str(data, "ca.crt")));
  TRY(facts.pems.certificate, kube::DecodeBase64(Str(data, "tls.crt")));
  TRY(facts.pems.key, kube::DecodeBase64(Str(data, "tls.key")));
  return facts;
}

}  // namespace tarn::cli
