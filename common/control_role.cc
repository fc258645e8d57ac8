#include "common/control_role.h"

namespace tarn {
namespace {

constexpr std::string_view kPrefix = "spiffe://tarn.dev/control/";
constexpr ControlRole kRoles[] = {ControlRole::kReader, ControlRole::kProvisioner,
                                  ControlRole::kOperator, ControlRole::kAdmin};

}  // namespace

std::string_view NameOf(ControlRole role) {
  switch (role) {
    case ControlRole::kReader:
      return "reader";
    case ControlRole::kProvisioner:
      return "provisioner";
    case ControlRole::kOperator:
      return "operator";
    case ControlRole::kAdmin:
      return "admin";
    case ControlRole::kNone:
      break;
  }
  return "none";
}

std::string UriOf(ControlRole role) {
  return std::string(kPrefix).append(NameOf(role));
}

ControlRole RoleOfUri(std::string_view uri) {
  if (!uri.starts_with(kPrefix)) return ControlRole::kNone;
  uri.remove_prefix(kPrefix.size());
  for (ControlRole role : kRoles) {
    if (uri == NameOf(role)) return role;
  }
  return ControlRole::kNone;
}

}  // namespace tarn
