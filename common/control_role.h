// What a client of the control API may do: a role, which its certificate names.
//
// The role is in the certificate as a URI among its subject alternative names,
// spiffe://tarn.dev/control/ROLE: the form of a SPIFFE ID, so that any tool that makes certificates
// can write it. The authority of the control API vouches for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn {

// Each may do what those before it may.
enum class ControlRole : uint8_t {
  kNone,         // nothing
  kReader,       // look at resources
  kProvisioner,  // access points: the CSI controller
  kOperator,     // what custom resources say: policies, tags, who may connect
  kAdmin,        // everything
};

// "none", "reader", "provisioner", "operator", "admin".
std::string_view NameOf(ControlRole role);
// Precondition: not kNone.
std::string UriOf(ControlRole role);
// kNone: it is no URI of a role.
ControlRole RoleOfUri(std::string_view uri);

}  // namespace tarn
