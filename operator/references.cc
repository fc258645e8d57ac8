#include "operator/references.h"

#include "common/volume_handle.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Object;
using kube::Str;

std::string RefNamespace(const Json& resource, const Json& ref) {
  std::string ns = Str(ref, "namespace");
  return ns.empty() ? kube::NameOf(resource).ns : ns;
}

std::string VolumeUser(const Json& volume) {
  std::string out = "PersistentVolume " + kube::NameOf(volume).name;
  const Json& claim = Object(Object(volume, "spec"), "claimRef");
  if (!Str(claim, "name").empty()) {
    out += " (claim " + Str(claim, "namespace") + "/" + Str(claim, "name") + ")";
  }
  return out;
}

bool OfDriver(Context& context, const Json& volume) {
  return Str(Object(Object(volume, "spec"), "csi"), "driver") == context.settings.driver_name;
}

std::string HandleOf(const Json& volume) {
  return Str(Object(Object(volume, "spec"), "csi"), "volumeHandle");
}

}  // namespace

bool Allows(const Json& file_system, const std::string& ns) {
  if (ns == kube::NameOf(file_system).ns) return true;
  for (const Json& allowed : Array(Object(file_system, "spec"), "allowedNamespaces")) {
    if (allowed == ns || allowed == "*") return true;
  }
  return false;
}

Result<Json> NamedFileSystem(Context& context, const Json& resource) {
  const Json& spec = Object(resource, "spec");
  if (std::string id = Str(spec, "fileSystemId"); !id.empty()) {
    auto all = context.file_systems.Where([&](const Json& fs) { return FileSystemIdOf(fs) == id; });
    if (!all.empty()) return all.front();
    return Error(Code::kNotFound, "spec.fileSystemId: there is no " + id + "; name another");
  }
  const Json& ref = Object(spec, "fileSystemRef");
  ObjectName name{RefNamespace(resource, ref), Str(ref, "name")};
  if (auto found = context.file_systems.Find(name)) return *found;
  return Error(Code::kNotFound,
               "spec.fileSystemRef: there is no FileSystem " + name.Key() + "; make it");
}

Result<Json> ResolveFileSystem(Context& context, const Json& resource) {
  TRY(Json fs, NamedFileSystem(context, resource));
  std::string own = kube::NameOf(resource).ns;
  if (Allows(fs, own)) return fs;
  return Error(Code::kDenied, "the file system does not allow namespace " + own +
                                  "; add it to spec.allowedNamespaces of the FileSystem");
}

bool RefersTo(const Json& resource, const ObjectName& file_system,
              const std::string& file_system_id) {
  const Json& spec = Object(resource, "spec");
  if (std::string id = Str(spec, "fileSystemId"); !id.empty()) return id == file_system_id;
  const Json& ref = Object(spec, "fileSystemRef");
  return Str(ref, "name") == file_system.name && RefNamespace(resource, ref) == file_system.ns;
}

std::vector<Json> MountTargetsOf(Context& context, const Json& file_system) {
  ObjectName name = kube::NameOf(file_system);
  std::string id = FileSystemIdOf(file_system);
  return context.mount_targets.Where([&](const Json& m) {
    return RefersTo(m, name, id) && Allows(file_system, kube::NameOf(m).ns) && !IsDeleting(m);
  });
}

Result<std::string> ControlAddress(const Json& file_system) {
  std::string ip = Str(Object(file_system, "status"), "endpoint");
  if (ip.empty()) {
    return Error(Code::kUnavailable,
                 "FileSystem " + kube::NameOf(file_system).Key() + " has no address yet");
  }
  return JoinHostPort(ip, kControlPort);
}

Result<std::string> ReadyAddress(const Json& file_system) {
  if (kube::ConditionStatus(file_system, "Ready") != "True") {
    std::string why;
    for (const Json& c : Array(Object(file_system, "status"), "conditions")) {
      if (Str(c, "type") == "Ready") why = ": " + Str(c, "message");
    }
    return Error(Code::kUnavailable,
                 "FileSystem " + kube::NameOf(file_system).Key() + " is not ready" + why);
  }
  return ControlAddress(file_system);
}

std::vector<std::string> UsersOfFileSystem(Context& context, const Json& file_system,
                                           const std::vector<Json>& volumes) {
  ObjectName name = kube::NameOf(file_system);
  std::string id = FileSystemIdOf(file_system);
  std::vector<std::string> users;
  for (const Json& volume : volumes) {
    if (OfDriver(context, volume) && FileSystemIdOfHandle(HandleOf(volume)) == id) {
      users.push_back(VolumeUser(volume));
    }
  }
  // One that is not allowed is no user, unless it was allowed and served before.
  auto wanted = [&](const Json& resource) {
    const Json& status = Object(resource, "status");
    bool served = !Str(status, "accessPointId").empty() || !Str(status, "ipAddress").empty();
    return RefersTo(resource, name, id) &&
           (served || Allows(file_system, kube::NameOf(resource).ns));
  };
  for (const Json& ap : context.access_points.Where(wanted)) {
    users.push_back("AccessPoint " + kube::NameOf(ap).Key());
  }
  for (const Json& mt : context.mount_targets.Where(wanted)) {
    users.push_back("MountTarget " + kube::NameOf(mt).Key());
  }
  return users;
}

std::vector<std::string> UsersOfAccessPoint(Context& context, const std::string& access_point_id,
                                            const std::vector<Json>& volumes) {
  std::vector<std::string> users;
  for (const Json& volume : volumes) {
    if (OfDriver(context, volume) && !access_point_id.empty() &&
        AccessPointIdOfHandle(HandleOf(volume)) == access_point_id) {
      users.push_back(VolumeUser(volume));
    }
  }
  return users;
}

std::string Sentence(const std::vector<std::string>& users) {
  std::string out;
  for (size_t i = 0; i < users.size() && i < kMaxNamedUsers; ++i) {
    out += (i == 0 ? "" : ", ") + users[i];
  }
  if (users.size() > kMaxNamedUsers) {
    out += " and " + std::to_string(users.size() - kMaxNamedUsers) + " more";
  }
  return out;
}

Result<std::vector<Json>> LiveVolumes(Context& context) {
  TRY(Json list, context.client.List(kVolume, {}, false));
  std::vector<Json> out;
  for (Json& volume : list["items"]) out.push_back(std::move(volume));
  return out;
}

}  // namespace tarn::op
