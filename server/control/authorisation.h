// Who may call which method of the control API.
//
// A caller on the Unix socket is root or the server's own user, as the socket's mode allows no
// others, and an admin. Over TCP the certificate says the role (common/control_role.h).
#pragma once

#include <grpcpp/security/auth_context.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/control_role.h"
#include "common/result.h"

namespace tarn::control {

struct MethodRole {
  std::string_view method;
  ControlRole least;
};

// Every method of api/control.proto: one that is not here cannot be called, and service.cc does not
// compile with one that is not.
inline constexpr MethodRole kMethodRoles[] = {
    {"CreateFileSystem", ControlRole::kAdmin},
    {"DescribeFileSystems", ControlRole::kReader},
    {"UpdateFileSystem", ControlRole::kOperator},
    {"DeleteFileSystem", ControlRole::kAdmin},
    {"CreateMountTarget", ControlRole::kOperator},
    {"DescribeMountTargets", ControlRole::kReader},
    {"DeleteMountTarget", ControlRole::kAdmin},
    {"ModifyMountTargetSecurityGroups", ControlRole::kOperator},
    {"DescribeMountTargetSecurityGroups", ControlRole::kReader},
    {"CreateAccessPoint", ControlRole::kProvisioner},
    {"DescribeAccessPoints", ControlRole::kReader},
    {"UpdateAccessPoint", ControlRole::kProvisioner},
    {"DeleteAccessPoint", ControlRole::kProvisioner},
    {"PutLifecycleConfiguration", ControlRole::kOperator},
    {"DescribeLifecycleConfiguration", ControlRole::kReader},
    {"PutFileSystemPolicy", ControlRole::kOperator},
    {"DescribeFileSystemPolicy", ControlRole::kReader},
    {"DeleteFileSystemPolicy", ControlRole::kOperator},
    {"TagResource", ControlRole::kOperator},
    {"UntagResource", ControlRole::kOperator},
    {"ListTagsForResource", ControlRole::kReader},
    {"DescribeKeys", ControlRole::kOperator},  // may ask the key's provider
    {"RewrapDataKey", ControlRole::kAdmin},
    {"DescribeAccessDecisions", ControlRole::kOperator},  // who connected, and from where
    {"ExplainAccess", ControlRole::kOperator},
    {"Fsck", ControlRole::kAdmin},  // reads everything
    {"StartScrub", ControlRole::kAdmin},
    {"DescribeScrub", ControlRole::kReader},
    {"StopScrub", ControlRole::kAdmin},
};

constexpr std::optional<ControlRole> LeastRole(std::string_view method) {
  for (const MethodRole& entry : kMethodRoles) {
    if (entry.method == method) return entry.least;
  }
  return std::nullopt;
}

struct Caller {
  std::string who;  // "CN=" and the name in the certificate; "local" on the Unix socket
  ControlRole role = ControlRole::kNone;
};

// `context` may be null. `peer` as gRPC tells it ("unix:…", "ipv4:…").
Caller CallerOf(const grpc::AuthContext* context, std::string_view peer);

// kDenied, "AccessDenied": names the method, the role that it needs and the one of the caller.
Result<void> Authorise(const Caller& caller, std::string_view method);

}  // namespace tarn::control
