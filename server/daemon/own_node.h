// The addresses from which the node of this server's pod connects to it: what the security group
// "node" stands for.
//
// They are the default gateways of the pod's network namespace. With bridges (and point-to-point
// links) a connection of the node itself, and so of the mounts that it makes, leaves by the bridge
// and has the bridge's address; that is the pod's way out, too. Who else can have it is who the
// node translates to itself (docs/security.md, "Network"). Where plugins give every pod a
// link-local gateway (Calico does), nobody connects from it, and it is left out: such nodes'
// addresses are told by their Node objects.
//
// On a host that is no pod the gateway is another machine, maybe one that translates addresses:
// that is why "node" must be asked for.
//
// Format: /proc/net/route and /proc/net/ipv6_route (proc(5), net/ipv6/route.c).
#pragma once

#include <string_view>
#include <vector>

#include "common/ip_address.h"

namespace tarn::daemon {

// Of this process's network namespace, as it is now. A file that cannot be read has none.
std::vector<IpRange> ReadOwnNode();

// Of the two files' text. Lines of another shape are passed over.
std::vector<IpAddress> GatewaysOf(std::string_view route, std::string_view ipv6_route);

}  // namespace tarn::daemon
