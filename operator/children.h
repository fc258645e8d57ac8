// Children: the objects that a custom resource is made of, kept as wanted.
#pragma once

#include <optional>

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

// Makes `wanted` so, by server-side apply when `cache` shows that it is not, and returns the object
// as it now is. `wanted` holds what we own and a metadata of ChildMetadata. kAlreadyExists: an
// object of that name is not ours (the message says what to do).
Result<Json> EnsureChild(Context& context, const kube::Informer& cache, const Json& wanted);

// The owner's uid, as the label of what we made says it; empty: we did not make it.
std::string OwnerUidOf(const Json& object);

// kAlreadyExists: `there`, of the type and the name of what is wanted, has another owner than
// `metadata`, that of what is wanted. The message says what to do.
Result<void> CheckOwner(const kube::ResourceType& type, const Json& there, const Json& metadata);

// The child of that metadata as it is, or was a short time ago (kube::Recent); nullopt: there is
// none. kAlreadyExists: as CheckOwner.
Result<std::optional<Json>> RecentChild(Context& context, const kube::ResourceType& type,
                                        const Json& metadata);

// Deletes the child of that name if it is the owner's (by uid); one of somebody else stays.
Result<void> DeleteChild(Context& context, const kube::ResourceType& type, const ObjectName& name,
                         const std::string& owner_uid);

// Whether every field of `wanted` is in `live` with the same value. Lists are compared in order.
bool Contains(const Json& live, const Json& wanted);

}  // namespace tarn::op
