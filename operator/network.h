// Who may connect to a file system, by address. Everybody, until a MountTarget of it has a
// spec.ingress, which may be empty; then the nodes, and what those name. Two things enforce it: the
// server itself (security groups of the control API), and a NetworkPolicy where the cluster's
// network plugin looks at those.
//
// Nodes always may: mounts of pods are made in the node's network, and come from its addresses.
// Which those are is taken from the Node objects (addresses, pod ranges' first two addresses, where
// bridges and tunnels are, and annotations that network plugins write) and from --node-ranges.
#pragma once

#include <string>
#include <vector>

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

// More pods than this are not listed one by one.
inline constexpr size_t kMaxIngressPods = 5000;
// How soon a pod that came or went is known, where a rule selects pods.
inline constexpr std::chrono::seconds kPodsRefresh{10};

struct Network {
  bool closed = false;              // else the rest is empty
  std::vector<std::string> ranges;  // sorted, each once; not empty when it is closed
  std::vector<std::string> nodes;   // those of nodes alone
  std::vector<Json> peers;          // of a NetworkPolicy, without the nodes
  std::string refused;              // the first rule that counts for nothing, and why
  bool by_pods = false;             // depends on pods, which nobody watches
};

// Whether only nodes and what its MountTargets name may connect: Network::closed.
bool IsClosed(Context& context, const Json& file_system);

// A rule that is wrong (it is a tenant's) lets nobody in; nodes and all others count on. Errors:
// kUnavailable: no node is known yet; or those of the API server.
Result<Network> ResolveNetwork(Context& context, const Json& file_system);

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
