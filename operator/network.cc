#include "operator/network.h"

#include <algorithm>
#include <set>

#include "common/ip_address.h"
#include "operator/references.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Object;
using kube::Str;

const std::string kNamespaceLabel = "kubernetes.io/metadata.name";
const std::string kFlannelAnnotations = "flannel.alpha.coreos.com/";
// Of the control API: the node of the server's pod.
const std::string kOwnNodeGroup = "node";

std::string WithPrefix(const std::string& range) {
  if (range.find('/') != std::string::npos) return range;
  auto address = IpAddress::Parse(range);
  return range + (address && address->is_v4() ? "/32" : "/128");
}

Error Of(const Json& mt, const Error& error) {
  return Error(error.code(),
               "MountTarget " + kube::NameOf(mt).Key() + ": spec.ingress: " + error.message());
}

// The namespaces that a rule means; "": all of them.
Result<std::vector<std::string>> NamespacesOf(Context& context, const Json& mt, const Json& rule) {
  if (!rule.contains("namespaceSelector")) return std::vector{kube::NameOf(mt).ns};
  std::string selector = SelectorText(Object(rule, "namespaceSelector"));
  if (selector.empty()) return std::vector<std::string>{""};
  TRY(Json list, context.client.List(kNamespace, {.ns = {}, .label_selector = selector}, true));
  std::vector<std::string> out;
  for (const Json& ns : Array(list, "items")) out.push_back(kube::NameOf(ns).name);
  return out;
}

// What no API server would take of a label selector, and would refuse with the whole NetworkPolicy.
Result<void> CheckSelector(const Json& rule, const char* field) {
  for (const Json& expression : Array(Object(rule, field), "matchExpressions")) {
    std::string op = Str(expression, "operator");
    bool takes_values = op == "In" || op == "NotIn";
    if (takes_values == !Array(expression, "values").empty()) continue;
    return Error(Code::kInvalid, std::string(field) + ".matchExpressions: key '" +
                                     Str(expression, "key") + "': " + op +
                                     (takes_values ? " needs values" : " has no values"));
  }
  return Ok();
}

Result<void> AddPods(Context& context, const Json& mt, const Json& rule,
                     std::vector<IpRange>& ranges) {
  TRY(std::vector<std::string> namespaces, NamespacesOf(context, mt, rule));
  std::string selector = SelectorText(Object(rule, "podSelector"));
  size_t pods = 0;
  auto add = [&](const Json& pod) -> Result<void> {
    const Json& status = Object(pod, "status");
    std::string phase = Str(status, "phase");
    // The address of one that has ended may be another's.
    if (phase == "Succeeded" || phase == "Failed") return Ok();
    if (++pods > kMaxIngressPods) {
      return Error(Code::kLimitExceeded, "selects more than " + std::to_string(kMaxIngressPods) +
                                             " pods; give their range as cidr");
    }
    for (const Json& ip : Array(status, "podIPs")) {
      if (auto address = IpAddress::Parse(Str(ip, "ip"))) ranges.push_back(IpRange::Of(*address));
    }
    return Ok();
  };
  for (const std::string& ns : namespaces) {
    TRY(context.client.Each(kPod, {.ns = ns, .label_selector = selector}, add));
  }
  return Ok();
}

// As a NetworkPolicy says it, which may be in another namespace than the MountTarget.
Json PeerOf(const Json& mt, const Json& rule) {
  Json peer = Json::object();
  peer["namespaceSelector"] = rule.contains("namespaceSelector")
                                  ? Object(rule, "namespaceSelector")
                                  : Json{{"matchLabels", {{kNamespaceLabel, kube::NameOf(mt).ns}}}};
  if (rule.contains("podSelector")) peer["podSelector"] = Object(rule, "podSelector");
  return peer;
}

bool HasSelector(const Json& rule) {
  return rule.contains("namespaceSelector") || rule.contains("podSelector");
}

// Whom one rule lets in: the peer of a NetworkPolicy, and addresses. Null: nobody.
Result<Json> ResolveRule(Context& context, const Json& mt, const Json& rule,
                         std::vector<IpRange>& ranges) {
  if (std::string cidr = Str(rule, "cidr"); !cidr.empty()) {
    auto range = IpRange::Parse(cidr);
    if (!range) return Error(Code::kInvalid, "cidr '" + cidr + "' is no range");
    ranges.push_back(*range);
    // As API servers want it: without bits behind the prefix.
    std::string text = IpRange::Merged({*range}).front().Text();
    return Json{{"ipBlock", {{"cidr", WithPrefix(text)}}}};
  }
  if (!HasSelector(rule)) return Json();
  TRY(CheckSelector(rule, "namespaceSelector"));
  TRY(CheckSelector(rule, "podSelector"));
  TRY(AddPods(context, mt, rule, ranges));
  return PeerOf(mt, rule);
}

// `out` and `ranges`, with one rule more.
Result<void> AddRule(Context& context, const Json& mt, const Json& rule, Network& out,
                     std::vector<IpRange>& ranges) {
  std::vector<IpRange> more = ranges;
  TRY(Json peer, ResolveRule(context, mt, rule, more));
  more = IpRange::Merged(std::move(more));
  if (more.size() > kMaxRanges) {
    return Error(Code::kLimitExceeded, "makes the list longer than " + std::to_string(kMaxRanges) +
                                           " ranges; give wider ones as cidr");
  }
  ranges = std::move(more);
  if (!peer.is_null()) out.peers.push_back(std::move(peer));
  return Ok();
}

std::vector<std::string> Texts(const std::vector<IpRange>& ranges) {
  std::vector<std::string> texts;
  texts.reserve(ranges.size());
  for (const IpRange& range : ranges) texts.push_back(range.Text());
  return texts;
}

Result<std::vector<IpRange>> NodeRanges(Context& context) {
  std::vector<IpRange> ranges;
  auto add = [&ranges](const std::string& text) {
    if (auto range = IpRange::Parse(text)) ranges.push_back(*range);
  };
  for (const std::string& text : context.settings.node_ranges) add(text);
  for (const Json& node : context.nodes.All()) {
    for (const Json& text : Array(node, "ranges")) add(text.get<std::string>());
  }
  TRY(std::vector<std::string> cilium, context.cilium.NodeAddresses());
  for (const std::string& text : cilium) add(text);
  ranges = IpRange::Merged(std::move(ranges));
  if (ranges.size() <= kMaxRanges) return ranges;
  return Error(Code::kLimitExceeded,
               "the nodes have " + std::to_string(ranges.size()) + " ranges of addresses, and " +
                   std::to_string(kMaxRanges) +
                   " are the most of a list: give wider ones as the chart's network.nodeRanges");
}

Json Port(const char* name) {
  return {{"port", name}, {"protocol", "TCP"}};
}

}  // namespace

void TrimNode(Json& node) {
  std::set<std::string> ranges;
  auto add = [&ranges](const std::string& text) {
    std::string address = text.substr(0, text.find('/'));
    if (IpAddress::Parse(address)) ranges.insert(address);
  };
  for (const Json& address : Array(Object(node, "status"), "addresses")) {
    add(Str(address, "address"));
  }
  // Of Calico, Cilium, Flannel and others: the addresses of their tunnels and bridges. Only kubelet
  // and they may write annotations of nodes.
  const Json& metadata = Object(node, "metadata");
  bool flannel = false;
  for (const auto& [key, value] : Object(metadata, "annotations").items()) {
    if (value.is_string()) add(value.get<std::string>());
    flannel |= key.starts_with(kFlannelAnnotations);
  }
  // Its tunnel has the first address of the node's pod range. To others that is a pod's.
  const Json& spec = Object(node, "spec");
  for (const Json& range : Array(spec, "podCIDRs")) {
    if (flannel && range.is_string()) add(range.get<std::string>());
  }
  if (flannel) add(Str(spec, "podCIDR"));
  node = {{"metadata",
           {{"name", Str(metadata, "name")},
            {"uid", Str(metadata, "uid")},
            {"resourceVersion", Str(metadata, "resourceVersion")}}},
          {"ranges", ranges}};
}

std::string SelectorText(const Json& selector) {
  std::string out;
  auto add = [&out](const std::string& term) { out += (out.empty() ? "" : ",") + term; };
  for (const auto& [key, value] : Object(selector, "matchLabels").items()) {
    if (value.is_string()) add(key + "=" + value.get<std::string>());
  }
  for (const Json& expression : Array(selector, "matchExpressions")) {
    std::string key = Str(expression, "key"), op = Str(expression, "operator"), values;
    for (const Json& value : Array(expression, "values")) {
      if (value.is_string()) values += (values.empty() ? "" : ",") + value.get<std::string>();
    }
    if (op == "In") add(key + " in (" + values + ")");
    if (op == "NotIn") add(key + " notin (" + values + ")");
    if (op == "Exists") add(key);
    if (op == "DoesNotExist") add("!" + key);
  }
  return out;
}

bool SaysIngress(Context& context, const Json& fs) {
  auto targets = MountTargetsOf(context, fs);
  return std::any_of(targets.begin(), targets.end(),
                     [](const Json& mt) { return Object(mt, "spec").contains("ingress"); });
}

bool SelectsPods(Context& context, const Json& fs) {
  for (const Json& mt : MountTargetsOf(context, fs)) {
    const Json& rules = Array(Object(mt, "spec"), "ingress");
    if (std::any_of(rules.begin(), rules.end(), HasSelector)) return true;
  }
  return false;
}

Result<Network> ResolveNetwork(Context& context, const Json& fs) {
  TRY(std::vector<IpRange> ranges, NodeRanges(context));
  Network out;
  out.nodes = Texts(ranges);
  for (const Json& mt : MountTargetsOf(context, fs)) {
    for (const Json& rule : Array(Object(mt, "spec"), "ingress")) {
      auto added = AddRule(context, mt, rule, out, ranges);
      if (added.ok()) continue;
      Error error = Of(mt, added.error());
      // It may be right, and whom it lets in now must not be cut off meanwhile.
      if (error.code() != Code::kInvalid && error.code() != Code::kLimitExceeded) return error;
      if (out.refused.empty()) out.refused = error.message();
    }
  }
  out.ranges = Texts(ranges);
  out.ranges.push_back(kOwnNodeGroup);
  return out;
}

bool WantsNetworkPolicies(const Settings& settings, bool cilium) {
  return settings.network_policies == "always" || (settings.network_policies == "auto" && !cilium);
}

Json FileSystemNetworkPolicy(const Settings& settings, const Json& fs, const Network& network) {
  Json nodes = Json::array();
  for (const std::string& range : network.nodes) {
    nodes.push_back({{"ipBlock", {{"cidr", WithPrefix(range)}}}});
  }
  Json clients = nodes;
  for (const Json& peer : network.peers) clients.push_back(peer);
  Json managers = nodes;
  managers.push_back({{"namespaceSelector", {{"matchLabels", {{kNamespaceLabel, settings.ns}}}}}});
  return {{"metadata", ChildMetadata(fs, kFileSystem, kube::NameOf(fs).name, Gone::kWithOwner)},
          {"spec",
           {{"podSelector", {{"matchLabels", SelectorLabels(FileSystemIdOf(fs))}}},
            {"policyTypes", {"Ingress"}},
            {"ingress",
             {{{"from", clients}, {"ports", {Port("nfs")}}},
              {{"from", managers}, {"ports", {Port("control")}}},
              {{"ports", {Port("http")}}}}}}}};
}

}  // namespace tarn::op
