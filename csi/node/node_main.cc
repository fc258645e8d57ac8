#include "csi/node/node_main.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "common/grpc/endpoint.h"
#include "common/log.h"
#include "csi/identity.h"
#include "csi/node/host_files.h"
#include "csi/node/node_service.h"
#include "csi/node/registration.h"
#include "csi/plugin.h"

namespace tarn::csi {
namespace {

struct Flags {
  PluginFlags plugin;
  NodeOptions node;
  MounterOptions mounter;
  std::string kubelet_dir = "/var/lib/kubelet";
  std::string registry_dir;
  std::string host_dir;
  std::string state_dir;
  std::string tunnel;
  std::string nfs_ca_file;
  int mount_timeout = 30;
  int unmount_timeout = 8;
  int call_timeout = 5;
  int repair_interval = 15;
  bool registration = true;
};

void AddFlags(CLI::App& app, Flags& flags) {
  AddPluginFlags(app, flags.plugin);
  app.add_option("--node-id", flags.node.node_id, "name of this node")->required();
  app.add_option("--zone", flags.node.zone, "zone of this node");
  app.add_option("--max-volumes", flags.node.max_volumes, "volumes a node may have; 0: any number")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--kubelet-dir", flags.kubelet_dir, "kubelet's root directory")
      ->capture_default_str();
  auto* tunnel = app.add_option("--tunnel", flags.tunnel,
                                "socket of the node's tarn-tunnel: volumes are mounted through it, "
                                "by TLS, unless they say otherwise; without it none is");
  auto* authority =
      app.add_option("--nfs-ca-file", flags.nfs_ca_file,
                     "certificates that may have signed file servers'; read at each use");
  tunnel->needs(authority);
  authority->needs(tunnel);
  app.add_flag("--registration,!--no-registration", flags.registration,
               "register with kubelet by a socket in KUBELET_DIR/plugins_registry");
  auto* registry =
      app.add_option("--registry-dir", flags.registry_dir,
                     "a directory with the registry of file systems; for volumes that nobody "
                     "provisioned, and servers that moved");
  app.add_option("--host-dir", flags.host_dir,
                 "a directory of the host that gets copies of the registry and of --nfs-ca-file, "
                 "for the mount helper")
      ->needs(registry);
  app.add_option("--mounter", flags.mounter.mounter, "auto, kernel or fuse")->capture_default_str();
  app.add_option("--state-dir", flags.state_dir,
                 "what must outlive this process: default KUBELET_DIR/plugins/DRIVER_NAME/state");
  app.add_option("--mount-cgroup", flags.mounter.cgroup,
                 "FUSE processes move to this cgroup, so that they outlive this container");
  app.add_option("--mount-timeout", flags.mount_timeout, "seconds")->check(CLI::Range(1, 600));
  app.add_option("--unmount-timeout", flags.unmount_timeout, "seconds until an unmount is lazy")
      ->check(CLI::Range(1, 600));
  app.add_option("--call-timeout", flags.call_timeout, "seconds for stat, statfs and bind")
      ->check(CLI::Range(1, 600));
  app.add_option("--repair-interval", flags.repair_interval,
                 "seconds between looks for dead mounts; 0: none")
      ->check(CLI::Range(0, 86400));
}

// Members are destroyed after those that use them.
struct Parts {
  HelperRunner runner;
  std::unique_ptr<Host> host;
  std::unique_ptr<Mounter> mounter;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<Planner> planner;
  std::unique_ptr<Tunnel> tunnel;
  std::unique_ptr<PodMounts> pods;
  std::unique_ptr<Volumes> volumes;
  std::unique_ptr<NodeService> service;
  std::unique_ptr<Identity> identity;
  std::unique_ptr<Registration> registration;
  std::jthread repair;
  std::unique_ptr<HostFiles> host_files;
};

Result<void> Build(Flags& flags, Parts& parts) {
  using std::chrono::seconds;
  if (flags.state_dir.empty()) {
    flags.state_dir = flags.kubelet_dir + "/plugins/" + flags.plugin.driver_name + "/state";
  }
  flags.mounter.log_dir = flags.state_dir + "/log";
  flags.mounter.log_level = flags.plugin.log_level;
  parts.host = NewHost(parts.runner, {seconds(flags.call_timeout), seconds(flags.unmount_timeout)});
  TRY(parts.mounter, NewMounter(parts.runner, flags.mounter));
  if (!flags.registry_dir.empty()) {
    parts.registry = std::make_unique<Registry>(DirectorySource(flags.registry_dir));
  }
  if (!flags.host_dir.empty()) {
    parts.host_files = std::make_unique<HostFiles>(
        flags.host_dir, DirectorySource(flags.registry_dir), flags.nfs_ca_file);
  }
  bool encrypted = !flags.tunnel.empty();
  parts.planner = std::make_unique<Planner>(parts.registry.get(), flags.node.zone, encrypted);
  std::string pods_dir = flags.kubelet_dir + "/pods";
  if (encrypted) {
    TRY(parts.tunnel, NewTunnelClient(flags.tunnel));
    PodMountsOptions options{flags.state_dir + "/pods", pods_dir, flags.nfs_ca_file,
                             flags.mounter.log_dir, seconds(flags.mount_timeout)};
    parts.pods = std::make_unique<PodMounts>(*parts.host, *parts.mounter, *parts.tunnel,
                                             *parts.planner, options);
  }
  VolumesOptions options{flags.state_dir, pods_dir, seconds(flags.mount_timeout)};
  parts.volumes = std::make_unique<Volumes>(*parts.host, *parts.mounter, *parts.planner,
                                            parts.pods.get(), options);
  parts.service = std::make_unique<NodeService>(*parts.volumes, flags.node);
  parts.identity = std::make_unique<Identity>(IdentityOptions{flags.plugin.driver_name, false, {}});
  TRY(std::string endpoint, rpcs::NormaliseEndpoint(flags.plugin.endpoint));
  parts.registration = std::make_unique<Registration>(flags.plugin.driver_name,
                                                      std::string(rpcs::SocketPath(endpoint)));
  return Ok();
}

void StartRepair(const Flags& flags, Parts& parts) {
  if (flags.repair_interval == 0) return;
  auto interval = std::chrono::seconds(flags.repair_interval);
  parts.repair = std::jthread([&volumes = *parts.volumes, interval](const std::stop_token& stop) {
    std::mutex mu;
    std::condition_variable_any wake;
    std::unique_lock lock(mu);
    while (!stop.stop_requested()) {
      volumes.RepairAll();
      wake.wait_for(lock, stop, interval, [] { return false; });
    }
  });
}

// `trouble` is what went wrong last: each is said once.
void SyncHostFiles(Parts& parts, std::string& trouble) {
  if (!parts.host_files) return;
  auto done = parts.host_files->Sync();
  std::string now = done.ok() ? "" : done.error().message();
  if (now != trouble && !now.empty()) spdlog::warn("files for the mount helper: {}", now);
  trouble = now;
}

}  // namespace

int NodeMain(int argc, char** argv) {
  Flags flags;
  CLI::App app("Tarn's CSI node plugin", "tarn-csi node");
  AddFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  BlockSignals();
  Parts parts;
  Result<void> ready = StartLogging("tarn-csi-node", flags.plugin.log_level);
  if (ready.ok()) ready = Build(flags, parts);
  if (!ready.ok()) {
    std::fprintf(stderr, "tarn-csi node: %s\n", ready.error().message().c_str());
    return 1;
  }
  StartRepair(flags, parts);
  auto registration = [&]() -> Result<std::unique_ptr<rpcs::Server>> {
    std::string socket =
        flags.kubelet_dir + "/plugins_registry/" + flags.plugin.driver_name + "-reg.sock";
    return rpcs::Server::Start({{socket, "", 0600}}, {parts.registration.get()});
  };
  std::string trouble;
  auto tick = [&] {
    SyncHostFiles(parts, trouble);
    // kubelet asks only once: after a refusal a new socket is the way to be asked again.
    return !parts.registration->refused();
  };
  std::function<Result<std::unique_ptr<rpcs::Server>>()> more;
  if (flags.registration) more = registration;
  return RunPlugin("tarn-csi-node", flags.plugin, {parts.identity.get(), parts.service.get()}, tick,
                   more);
}

}  // namespace tarn::csi
