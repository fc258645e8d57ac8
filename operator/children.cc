#include "operator/children.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

// What was wanted when it was last applied: tells fields that have since been dropped.
const std::string kAppliedAnnotation = "tarn.dev/applied";

std::string Applied(const Json& object) {
  return Str(Object(Object(object, "metadata"), "annotations"), kAppliedAnnotation);
}

}  // namespace

std::string OwnerUidOf(const Json& object) {
  return Str(Object(Object(object, "metadata"), "labels"), kOwnerUidLabel);
}

Result<void> CheckOwner(const kube::ResourceType& type, const Json& there, const Json& metadata) {
  if (OwnerUidOf(there) == Str(Object(metadata, "labels"), kOwnerUidLabel)) return Ok();
  return Error(Code::kAlreadyExists, type.kind + " " + kube::NameOf(there).Key() +
                                         " is there and is not ours; delete it, or give this "
                                         "resource another name");
}

Result<std::optional<Json>> RecentChild(Context& context, const kube::ResourceType& type,
                                        const Json& metadata) {
  ObjectName name{Str(metadata, "namespace"), Str(metadata, "name")};
  auto there = context.recent.Get(type, name);
  if (there.ok() && !CheckOwner(type, *there, metadata).ok()) {
    // That one's owner may be gone, and it with it: a resource was made anew under its name.
    context.recent.Forget(type, name);
    there = context.recent.Get(type, name);
  }
  if (there.code() == Code::kNotFound) return std::optional<Json>();
  if (!there.ok()) return there.error();
  TRY(CheckOwner(type, *there, metadata));
  return std::optional<Json>(*std::move(there));
}

bool Contains(const Json& live, const Json& wanted) {
  if (wanted.is_object()) {
    if (!live.is_object()) return false;
    for (const auto& [key, value] : wanted.items()) {
      auto it = live.find(key);
      if (it == live.end() || !Contains(*it, value)) return false;
    }
    return true;
  }
  if (wanted.is_array()) {
    if (!live.is_array() || live.size() != wanted.size()) return false;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!Contains(live[i], wanted[i])) return false;
    }
    return true;
  }
  return live == wanted;
}

Result<Json> EnsureChild(Context& context, const kube::Informer& cache, const Json& wanted) {
  const kube::ResourceType& type = cache.type();
  ObjectName name = kube::NameOf(wanted);
  std::optional<Json> live = cache.Find(name);
  if (!live) {
    auto there = context.client.Get(type, name);
    if (!there.ok() && there.code() != Code::kNotFound) return there.error();
    if (there.ok()) live = std::move(*there);
  }
  if (live) TRY(CheckOwner(type, *live, wanted["metadata"]));
  std::string hash = Sha256Hex(wanted.dump()).substr(0, 16);
  if (live && !IsDeleting(*live) && Applied(*live) == hash && Contains(*live, wanted)) return *live;
  Json next = wanted;
  next["metadata"]["annotations"][kAppliedAnnotation] = hash;
  return context.client.Apply(type, next);
}

Result<void> DeleteChild(Context& context, const kube::ResourceType& type, const ObjectName& name,
                         const std::string& owner_uid) {
  auto there = context.client.Get(type, name);
  if (there.code() == Code::kNotFound) return Ok();
  if (!there.ok()) return there.error();
  if (OwnerUidOf(*there) != owner_uid || IsDeleting(*there)) return Ok();
  return context.client.Delete(type, name);
}

}  // namespace tarn::op
