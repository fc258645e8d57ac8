#include "server/control/authorisation.h"

#include <grpc/grpc_security_constants.h>

namespace tarn::control {
namespace {

// Before there were roles, all programs of an installation had one certificate, of this name and
// without a role. A CSI controller that still runs with it goes on until it is upgraded, too; for
// the operator, which comes first, and for people, there are new ones. It is worth nothing once it
// has expired.
constexpr std::string_view kSharedName = "tarn-control-client";

std::string Text(grpc::string_ref text) {
  return {text.data(), text.size()};
}

}  // namespace

Caller CallerOf(const grpc::AuthContext* context, std::string_view peer) {
  if (context == nullptr || !context->IsPeerAuthenticated()) {
    const bool socket = peer.starts_with("unix:");
    return {socket ? "local" : "unnamed", socket ? ControlRole::kAdmin : ControlRole::kNone};
  }
  auto names = context->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  Caller caller{names.empty() ? "unnamed" : "CN=" + Text(names[0]), ControlRole::kNone};
  auto uris = context->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME);
  // Two would leave it to us which one counts.
  if (uris.size() == 1) caller.role = RoleOfUri(Text(uris[0]));
  if (uris.empty() && names.size() == 1 && Text(names[0]) == kSharedName) {
    caller.role = ControlRole::kProvisioner;
  }
  return caller;
}

Result<void> Authorise(const Caller& caller, std::string_view method) {
  std::optional<ControlRole> least = LeastRole(method);
  if (least && caller.role >= *least && caller.role != ControlRole::kNone) return Ok();
  std::string message = std::string(method);
  if (!least) return Error(Code::kDenied, message + " is open to no role", "AccessDenied", "");
  message.append(" needs the role ").append(NameOf(*least)).append("; ").append(caller.who);
  if (caller.role == ControlRole::kNone) {
    message.append(
        " has none: its certificate must have one URI among its subject alternative "
        "names, such as ");
    message.append(UriOf(*least));
  } else {
    message.append(" has ").append(NameOf(caller.role));
  }
  return Error(Code::kDenied, std::move(message), "AccessDenied", "");
}

}  // namespace tarn::control
