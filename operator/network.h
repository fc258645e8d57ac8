// Who may connect to a file system, by address: the nodes, and what spec.ingress of its
// MountTargets names. Two things enforce it: the server itself (security groups of the control
// API), which lets nobody in before it has its list (--network closed), and a NetworkPolicy where
// the cluster's network plugin looks at those.
//
// Nodes always may: mounts of pods are made in the node's network, and come from its addresses.
// Which those are is taken from the Node objects (addresses, annotations that network plugins
// write, and where they are Flannel's the tunnel's address), CiliumNode objects, and --node-ranges.
// The node that a server is on may come from an address that nobody tells, such as a bridge's: that
// one the server finds out itself, where the list has the word "node".
#pragma once

#include <string>
#include <vector>

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

// More pods than this are not listed one by one.
inline constexpr size_t kMaxIngressPods = 5000;
// Ranges of a list, besides "node"; a server takes 10,000 (server/control/limits.h).
inline constexpr size_t kMaxRanges = 9'999;

struct Network {
  // Security groups: the fewest ranges that hold all addresses, in order, then "node".
  std::vector<std::string> ranges;
  std::vector<std::string> nodes;  // those of nodes alone
  std::vector<Json> peers;         // of a NetworkPolicy, without the nodes
  std::string refused;             // the first rule that counts for nothing, and why
  bool operator==(const Network&) const = default;
};

// A rule that is wrong (it is a tenant's) lets nobody in; nodes and all others count on. Errors:
// kLimitExceeded: the nodes alone are too many; or those of the API server.
Result<Network> ResolveNetwork(Context& context, const Json& file_system);

// Whether any of its MountTargets says who may connect, if only that nobody does.
bool SaysIngress(Context& context, const Json& file_system);

// Whether it depends on pods, which nobody watches (network_watch.h).
bool SelectsPods(Context& context, const Json& file_system);

// What selects the server's pods and lets those peers to its NFS port, our own programs to its
// control API, and everybody to metrics and probes.
Json FileSystemNetworkPolicy(const Settings& settings, const Json& file_system,
                             const Network& network);

// Whether NetworkPolicies are to be made; `cilium`: the cluster has Cilium's API.
bool WantsNetworkPolicies(const Settings& settings, bool cilium);

// Cuts a Node to its name and "ranges".
void TrimNode(Json& node);

// "a=b,c in (d,e)" of a LabelSelector.
std::string SelectorText(const Json& selector);

}  // namespace tarn::op
