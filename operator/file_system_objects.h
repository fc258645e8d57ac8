// What a FileSystem is made of, as pure functions from its spec: a StatefulSet of one file server,
// a Service, a PodDisruptionBudget and, where Prometheus' operator is, a ServiceMonitor.
#pragma once

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

// The user that file servers run as; the same as the image's.
inline constexpr int kServerUser = 65532;

// `cluster_ip`: to ask for the address that clients have mounted; empty: the cluster chooses.
Json FileSystemService(const Json& file_system, const std::string& cluster_ip);

// `live`: the StatefulSet as it is (null: none). Its claim template cannot change once it is there,
// so it is taken over.
Json FileSystemStatefulSet(const Settings& settings, const Json& file_system, const Json& live);

Json FileSystemBudget(const Json& file_system);
Json FileSystemMonitor(const Json& file_system);

// The claim that the StatefulSet makes for spec.storage.size.
ObjectName DataClaim(const Json& file_system);
// "shared.default.svc"
std::string FileSystemDnsName(const Json& file_system);

}  // namespace tarn::op
