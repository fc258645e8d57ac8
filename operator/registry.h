// The registry: the ConfigMap tarn-file-systems in the operator's namespace, by which the CSI
// driver finds file servers. docs/programs.md has its format.
//
// Each file system's reconcile changes only its own key, so that reconciles do not meet.
#pragma once

#include "operator/context.h"

namespace tarn::op {

// Makes the entry of `file_system` what it should be, given its mount targets.
Result<void> PutInRegistry(Context& context, const Json& file_system, const std::string& endpoint);
Result<void> RemoveFromRegistry(Context& context, const std::string& file_system_id);
// Takes away entries of a FileSystem that is no more: somebody removed its finalizer by hand.
Result<void> RemoveStale(Context& context, const ObjectName& file_system);
// The FileSystems that the registry knows.
std::vector<ObjectName> Registered(Context& context);

}  // namespace tarn::op
