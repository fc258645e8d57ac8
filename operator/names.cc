#include "operator/names.h"

namespace tarn::op {

using kube::Array;
using kube::Json;
using kube::Object;
using kube::Str;

std::string IdFromUid(const std::string& prefix, const std::string& uid) {
  return prefix + Sha256Hex(uid).substr(0, 17);
}

std::string UidOf(const Json& object) {
  return Str(Object(object, "metadata"), "uid");
}

int64_t GenerationOf(const Json& object) {
  return kube::Int(Object(object, "metadata"), "generation");
}

bool IsDeleting(const Json& object) {
  return !Str(Object(object, "metadata"), "deletionTimestamp").empty();
}

bool HasFinalizer(const Json& object) {
  for (const Json& f : Array(Object(object, "metadata"), "finalizers")) {
    if (f == kFinalizer) return true;
  }
  return false;
}

std::string FileSystemIdOf(const Json& file_system) {
  std::string given = Str(Object(file_system, "spec"), "fileSystemId");
  return given.empty() ? IdFromUid("fs-", UidOf(file_system)) : given;
}

Result<void> SetFinalizer(kube::Client& client, const kube::ResourceType& type, const Json& object,
                          bool on) {
  if (HasFinalizer(object) == on) return Ok();
  Json finalizers = Json::array();
  for (const Json& f : Array(Object(object, "metadata"), "finalizers")) {
    if (f != kFinalizer) finalizers.push_back(f);
  }
  if (on) finalizers.push_back(kFinalizer);
  Json patch = {{"metadata",
                 {{"finalizers", finalizers},
                  {"resourceVersion", Str(Object(object, "metadata"), "resourceVersion")}}}};
  auto done = client.MergePatch(type, kube::NameOf(object), patch);
  if (!done.ok() && !(done.code() == Code::kNotFound && !on)) return done.error();
  return Ok();
}

Json SelectorLabels(const std::string& file_system_id) {
  return {{"app.kubernetes.io/name", "tarn-server"}, {"tarn.dev/file-system-id", file_system_id}};
}

Json ChildMetadata(const Json& owner, const kube::ResourceType& owner_type, const std::string& name,
                   Gone gone) {
  kube::ObjectName owner_name = kube::NameOf(owner);
  bool of_mount_target = owner_type.kind == kMountTarget.kind;
  Json metadata = {{"name", name},
                   {"namespace", owner_name.ns},
                   {"labels",
                    {{kManagedByLabel, kManagedBy},
                     {"app.kubernetes.io/part-of", "tarn"},
                     {kOwnerUidLabel, UidOf(owner)},
                     {of_mount_target ? kMountTargetLabel : kFileSystemLabel, owner_name.name}}}};
  if (gone == Gone::kWithOwner) {
    metadata["ownerReferences"] = {{{"apiVersion", owner_type.ApiVersion()},
                                    {"kind", owner_type.kind},
                                    {"name", owner_name.name},
                                    {"uid", UidOf(owner)},
                                    {"controller", true},
                                    {"blockOwnerDeletion", true}}};
  }
  return metadata;
}

}  // namespace tarn::op
