#include "operator/registry.h"

#include "operator/references.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

// A ConfigMap holds at most 1 MiB; above this the API server would refuse it with a less helpful
// message.
constexpr size_t kMaxRegistryBytes = 1000000;

ObjectName RegistryName(Context& context) {
  return {context.settings.ns, kRegistryName};
}

std::string KeyOf(const std::string& file_system_id) {
  return file_system_id + ".json";
}

std::string EntryOf(Context& context, const Json& fs, const std::string& endpoint) {
  ObjectName name = kube::NameOf(fs);
  std::string id = FileSystemIdOf(fs);
  Json targets = Json::array();
  for (const Json& mt : MountTargetsOf(context, fs)) {
    std::string ip = Str(Object(mt, "status"), "ipAddress");
    if (ip.empty()) continue;
    targets.push_back({{"mountTargetId", IdFromUid("fsmt-", UidOf(mt))},
                       {"zone", Str(Object(mt, "spec"), "availabilityZoneName")},
                       {"nfs", JoinHostPort(ip, kNfsPort)}});
  }
  Json entry = {{"fileSystemId", id},
                {"namespace", name.ns},
                {"name", name.name},
                {"control", JoinHostPort(endpoint, kControlPort)},
                {"nfs", JoinHostPort(endpoint, kNfsPort)},
                {"mountTargets", targets}};
  return entry.dump();
}

Result<void> CreateWith(Context& context, const Json& data) {
  Json map = {
      {"apiVersion", "v1"},
      {"kind", "ConfigMap"},
      {"metadata",
       {{"name", kRegistryName},
        {"namespace", context.settings.ns},
        {"labels", {{kManagedByLabel, kManagedBy}, {"app.kubernetes.io/part-of", "tarn"}}}}},
      {"data", data}};
  auto made = context.client.Create(kConfigMap, map);
  // Another reconcile was first: this one comes again.
  if (made.code() == Code::kAlreadyExists) return Error(Code::kAborted, made.error().message());
  if (!made.ok()) return made.error();
  return Ok();
}

Result<void> Patch(Context& context, const Json& data) {
  auto done = context.client.MergePatch(kConfigMap, RegistryName(context), {{"data", data}});
  if (!done.ok()) return done.error();
  return Ok();
}

Json DataOf(Context& context) {
  auto map = context.registry.Find(RegistryName(context));
  return map ? Object(*map, "data") : Json::object();
}

}  // namespace

Result<void> PutInRegistry(Context& context, const Json& fs, const std::string& endpoint) {
  std::string key = KeyOf(FileSystemIdOf(fs));
  std::string entry = EntryOf(context, fs, endpoint);
  Json data = DataOf(context);
  if (Str(data, key) == entry) return Ok();
  if (!data.contains(key) && data.dump().size() + key.size() + entry.size() > kMaxRegistryBytes) {
    return Error(Code::kLimitExceeded, "ConfigMap " + RegistryName(context).Key() +
                                           " is full; remove file systems that are not needed");
  }
  auto patched = Patch(context, {{key, entry}});
  if (patched.code() == Code::kNotFound) return CreateWith(context, {{key, entry}});
  return patched;
}

Result<void> RemoveFromRegistry(Context& context, const std::string& file_system_id) {
  auto patched = Patch(context, {{KeyOf(file_system_id), nullptr}});
  if (patched.code() == Code::kNotFound) return Ok();
  return patched;
}

std::vector<ObjectName> Registered(Context& context) {
  std::vector<ObjectName> out;
  Json data = DataOf(context);
  for (const auto& [key, value] : data.items()) {
    auto entry = kube::ParseJson(value.is_string() ? value.get<std::string>() : "");
    if (entry.ok()) out.push_back({Str(*entry, "namespace"), Str(*entry, "name")});
  }
  return out;
}

Result<void> RemoveStale(Context& context, const ObjectName& file_system) {
  Json data = DataOf(context);
  for (const auto& [key, value] : data.items()) {
    auto entry = kube::ParseJson(value.is_string() ? value.get<std::string>() : "");
    if (!entry.ok() || Str(*entry, "namespace") != file_system.ns ||
        Str(*entry, "name") != file_system.name) {
      continue;
    }
    TRY(Patch(context, {{key, nullptr}}));
  }
  return Ok();
}

}  // namespace tarn::op
