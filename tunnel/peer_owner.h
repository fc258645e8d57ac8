// Whose socket is at the other end of a connection on this machine's loopback.
//
// Every process of the node's network reaches a mount's address, and whoever makes calls there has
// the mount's identity: so only the kernel's clients and those of root (or of this process's own
// user) are let in.
#pragma once

#include <sys/types.h>

#include <optional>

namespace tarn::tunnel {

// The owner of the socket that `accepted` (IPv4) is connected with; of the kernel's own it is 0.
// nullopt: that socket is not connected any more, or is not of this network namespace.
std::optional<uid_t> OwnerOfPeer(int accepted);

}  // namespace tarn::tunnel
