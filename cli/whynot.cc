// tarnctl whynot: which of the layers that must all allow keeps a pod out, and by which rule.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/cluster_lookup.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "operator/kube/config.h"
#include "operator/kube/cpprest_transport.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

constexpr char kNamespaceFile[] = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
constexpr uint32_t kDecisionsShown = 5;

struct WhyNotFlags {
  std::string pod, claim;
  std::string name_space = "default";
  std::string system_namespace;
  std::string kubeconfig;
};

std::string SystemNamespace(const WhyNotFlags& flags) {
  if (!flags.system_namespace.empty()) return flags.system_namespace;
  std::ifstream own(kNamespaceFile);
  std::string text;
  std::getline(own, text);
  return text.empty() ? "tarn-system" : text;
}

Result<kube::ClusterConfig> ConfigOf(const WhyNotFlags& flags) {
  if (flags.kubeconfig.empty()) return kube::InClusterConfig();
  return kube::LoadKubeconfig(flags.kubeconfig, "/tmp/tarnctl." + std::to_string(getpid()));
}

pb::ExplainAccessRequest RequestFor(const PodFacts& pod, const ClaimFacts& claim) {
  pb::ExplainAccessRequest request;
  request.set_file_system_id(claim.file_system_id);
  request.set_access_point_id(claim.access_point_id);
  request.set_source_ip(pod.node_ip);
  request.set_secure_transport(claim.encrypted);
  if (claim.encrypted) {  // without TLS nobody proves who they are
    request.set_service_account(pod.service_account);
    request.set_pod(pod.name);
  }
  request.mutable_user()->set_uid(pod.uid);
  request.mutable_user()->set_gid(pod.gid);
  for (uint32_t gid : pod.gids) request.mutable_user()->add_gids(gid);
  return request;
}

void ShowSubject(std::ostream& out, const PodFacts& pod, const ClaimFacts& claim,
                 const WhyNotFlags& flags) {
  out << "Pod " << pod.name << ", ServiceAccount " << pod.service_account << ", "
      << (pod.node_ip.empty() ? "on no node yet" : "node " + pod.node_ip) << "\n"
      << "Claim " << flags.claim << ": " << claim.file_system_id
      << (claim.access_point_id.empty() ? "" : ", access point " + claim.access_point_id) << ", "
      << (claim.encrypted ? "encrypted in transit" : "in the clear, so that nobody knows the pod")
      << "\n";
  if (!pod.mounts_claim) {
    out << "The pod has no volume of that claim: what follows is what it would get\n";
  }
}

void ShowLayers(std::ostream& out, const pb::ExplainAccessResponse& explained) {
  for (const auto& layer : explained.layers()) {
    out << "  " << layer.layer() << std::string(10 - std::min<size_t>(layer.layer().size(), 9), ' ')
        << layer.verdict() << std::string(11 - std::min<size_t>(layer.verdict().size(), 10), ' ')
        << layer.rule() << "\n";
    if (!layer.fix().empty()) out << "            fix: " << layer.fix() << "\n";
  }
  out << "=> " << explained.verdict() << "\n";
}

void ShowDecisions(std::ostream& out, const pb::DescribeAccessDecisionsResponse& response) {
  for (const auto& decision : response.decisions()) {
    out << Moment(decision.timestamp()) << "  "
        << (decision.granted() ? "granted" : "denied by " + decision.layer()) << ": "
        << decision.reason() << "\n";
  }
}

Result<int> WhyNot(const WhyNotFlags& flags, Session& session) {
  TRY(kube::ClusterConfig config, ConfigOf(flags));
  kube::PrepareProcess(config);
  TRY(auto transport, kube::NewCpprestTransport(config));
  kube::Client client(*transport);
  TRY(PodFacts pod, FindPod(client, {flags.name_space, flags.pod}, flags.claim));
  TRY(ClaimFacts claim, FindClaim(client, {flags.name_space, flags.claim}));
  if (!session.has_server()) {
    TRY(ServerFacts server, FindServer(client, SystemNamespace(flags), claim.file_system_id));
    session.UseServer(server.control, server.pems);
  }
  pb::ExplainAccessRequest request = RequestFor(pod, claim);
  TRY(auto explained, session.Call(&Stub::ExplainAccess, request));
  pb::DescribeAccessDecisionsRequest recent;
  recent.set_file_system_id(claim.file_system_id);
  recent.set_pod(pod.name);
  recent.set_max_results(kDecisionsShown);
  TRY(auto decisions, session.Call(&Stub::DescribeAccessDecisions, recent));
  session.ShowOne(explained, [&](std::ostream& out) {
    ShowSubject(out, pod, claim, flags);
    ShowLayers(out, explained);
    ShowDecisions(out, decisions);
  });
  return explained.verdict() == "allow" ? 0 : 1;
}

}  // namespace

void AddWhyNotCommand(CLI::App& app, Action& chosen) {
  auto flags = std::make_shared<WhyNotFlags>();
  CLI::App* command = app.add_subcommand(
      "whynot",
      "Say which layer keeps a pod from its claim, and by which rule; exit code 1 when "
      "not all is allowed");
  command->add_option("pod", flags->pod, "Name of the pod")->required();
  command->add_option("claim", flags->claim, "Name of the PersistentVolumeClaim")->required();
  command->add_option("--namespace,-n", flags->name_space, "Of both")->capture_default_str();
  command->add_option("--system-namespace", flags->system_namespace,
                      "Where the operator runs [this pod's, else tarn-system]");
  command->add_option("--kubeconfig", flags->kubeconfig,
                      "Outside a cluster; else the pod's service account");
  command->footer(
      "Without --server it finds the file server by the operator's registry. In a cluster:\n"
      "kubectl -n tarn-system exec deploy/tarn-operator -- tarnctl whynot POD CLAIM -n NAMESPACE");
  command->callback(
      [flags, &chosen] { chosen = [flags](Session& s) { return WhyNot(*flags, s); }; });
}

}  // namespace tarn::cli
