#include "csi/controller/controller_main.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/log.h"
#include "csi/controller/controller_service.h"
#include "csi/identity.h"
#include "csi/plugin.h"
#include "operator/kube/client.h"
#include "operator/kube/config.h"
#include "operator/kube/cpprest_transport.h"

namespace tarn::csi {
namespace {

struct Flags {
  PluginFlags plugin;
  std::string registry_dir;
  std::string registry_configmap;
  std::string control_tls_dir;
  std::string control_tls_secret;
  std::string kubeconfig;
  std::string scratch_dir = "/tmp";
  std::string tags;
  bool topology = false;
};

Result<kube::ObjectName> ParseName(const char* flag, const std::string& text) {
  size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return Error(Code::kInvalid, std::string(flag) + " '" + text + "' must be namespace/name");
  }
  return kube::ObjectName{text.substr(0, slash), text.substr(slash + 1)};
}

// "key:value key:value", as the EFS driver takes them.
Result<std::map<std::string, std::string>> ParseTags(const std::string& text) {
  std::map<std::string, std::string> tags;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    size_t colon = word.find(':');
    if (colon == std::string::npos || colon == 0) {
      return Error(Code::kInvalid, "--tags '" + word + "' must be key:value");
    }
    tags[word.substr(0, colon)] = word.substr(colon + 1);
  }
  return tags;
}

// All that the service stands on. Members are destroyed after those that use them.
struct Parts {
  std::unique_ptr<kube::HttpTransport> transport;
  std::unique_ptr<kube::Client> client;
  std::unique_ptr<ClusterReader> cluster;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<ControlServers> servers;
  std::unique_ptr<ControllerService> service;
  std::unique_ptr<Identity> identity;
};

// Without a cluster only what needs none works: that is no error here unless a flag needs one.
Result<void> ConnectCluster(const Flags& flags, Parts& parts) {
  auto config = flags.kubeconfig.empty()
                    ? kube::InClusterConfig()
                    : kube::LoadKubeconfig(flags.kubeconfig, flags.scratch_dir);
  if (!config.ok()) {
    bool needed = !flags.kubeconfig.empty() || !flags.registry_configmap.empty() ||
                  !flags.control_tls_secret.empty();
    if (needed) return std::move(config).error();
    return Ok();
  }
  kube::PrepareProcess(*config);
  TRY(parts.transport, kube::NewCpprestTransport(*config));
  parts.client = std::make_unique<kube::Client>(*parts.transport);
  parts.cluster = NewClusterReader(*parts.client);
  return Ok();
}

Result<void> Build(const Flags& flags, Parts& parts) {
  if (flags.registry_dir.empty() == flags.registry_configmap.empty()) {
    return Error(Code::kInvalid, "give one of --registry-configmap and --registry-dir");
  }
  TRY(ConnectCluster(flags, parts));
  Registry::Source source = DirectorySource(flags.registry_dir);
  if (!flags.registry_configmap.empty()) {
    TRY(auto name, ParseName("--registry-configmap", flags.registry_configmap));
    source = ConfigMapSource(*parts.cluster, name.ns, name.name);
  }
  parts.registry = std::make_unique<Registry>(std::move(source));
  ControlServers::ReadPems read_pems;
  if (!flags.control_tls_secret.empty()) {
    TRY(auto name, ParseName("--control-tls-secret", flags.control_tls_secret));
    read_pems = [&parts, name] { return ReadTlsSecret(*parts.cluster, name.ns, name.name); };
  }
  parts.servers = std::make_unique<ControlServers>(flags.control_tls_dir, std::move(read_pems));
  ControllerOptions options;
  options.driver_name = flags.plugin.driver_name;
  options.topology = flags.topology;
  TRY(options.tags, ParseTags(flags.tags));
  parts.service = std::make_unique<ControllerService>(*parts.registry, *parts.servers,
                                                      parts.cluster.get(), options);
  parts.identity =
      std::make_unique<Identity>(IdentityOptions{flags.plugin.driver_name, flags.topology, {}});
  return Ok();
}

void AddFlags(CLI::App& app, Flags& flags) {
  AddPluginFlags(app, flags.plugin);
  app.add_option("--registry-configmap", flags.registry_configmap,
                 "NAMESPACE/NAME of the registry of file systems, read through the Kubernetes API");
  app.add_option("--registry-dir", flags.registry_dir, "a directory with the registry's files");
  app.add_option("--control-tls-secret", flags.control_tls_secret,
                 "NAMESPACE/NAME of the Secret that says who we are to the control API");
  app.add_option("--control-tls-dir", flags.control_tls_dir,
                 "a directory with ca.crt, tls.crt and tls.key for the control API");
  app.add_option("--kubeconfig", flags.kubeconfig,
                 "outside a cluster; else the pod's service account");
  app.add_option("--scratch-dir", flags.scratch_dir, "for the files of a kubeconfig's inline data")
      ->capture_default_str();
  app.add_option("--tags", flags.tags, "'key:value key:value': tags of every access point");
  app.add_flag("--topology", flags.topology, "let volumes be bound to zones");
}

}  // namespace

int ControllerMain(int argc, char** argv) {
  Flags flags;
  CLI::App app("Tarn's CSI controller plugin", "tarn-csi controller");
  AddFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  BlockSignals();
  Parts parts;
  Result<void> ready = StartLogging("tarn-csi-controller", flags.plugin.log_level);
  if (ready.ok()) ready = Build(flags, parts);
  if (!ready.ok()) {
    std::fprintf(stderr, "tarn-csi controller: %s\n", ready.error().message().c_str());
    return 1;
  }
  return RunPlugin("tarn-csi-controller", flags.plugin, {parts.identity.get(), parts.service.get()},
                   {});
}

}  // namespace tarn::csi
