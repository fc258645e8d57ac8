// tarn-operator: reconciles FileSystem, MountTarget, AccessPoint and LifecyclePolicy.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "common/http_endpoint.h"
#include "common/log.h"
#include "common/version.h"
#include "operator/kube/cpprest_transport.h"
#include "operator/kube/leader.h"
#include "operator/operator.h"

namespace {

using namespace tarn;
using namespace std::chrono_literals;

struct Flags {
  op::Settings settings{.ns = {},
                        .server_image = {},
                        .driver_name = "efs.csi.tarn.dev",
                        .token_audience = "tarn.dev"};
  std::string health_listen = "0.0.0.0:9402";
  std::string kubeconfig;
  std::string log_level = "info";
};

int Fail(const Error& error) {
  std::fprintf(stderr, "tarn-operator: %s\n", error.message().c_str());
  return 1;
}

// Unique to this process: a pod keeps its name when its container is restarted.
std::string Identity() {
  const char* pod = std::getenv("POD_NAME");
  char host[256] = "operator";
  gethostname(host, sizeof host - 1);
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::string(pod != nullptr ? pod : host) + "_" +
         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

int64_t NowSeconds() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

// What probes and Prometheus read. `leads` and `op` outlive it.
Result<std::unique_ptr<HttpEndpoint>> StartHealth(const std::string& listen, op::Operator& op,
                                                  const std::atomic<bool>& leads) {
  // A standby is ready as well: it has what it needs to take over.
  auto ready = [&op] {
    if (op.Synced()) return HttpEndpoint::Response{};
    return HttpEndpoint::Response{.status = 503, .body = "caches are not filled yet\n"};
  };
  auto metrics = [&op, &leads] {
    return HttpEndpoint::Response{
        .body = op.Metrics() +
                "# HELP tarn_operator_leads Whether this replica holds the lease.\n"
                "# TYPE tarn_operator_leads gauge\ntarn_operator_leads " +
                (leads ? "1\n" : "0\n"),
        .content_type = "text/plain; version=0.0.4"};
  };
  return HttpEndpoint::Start(listen, {{"/healthz", [] { return HttpEndpoint::Response{}; }},
                                      {"/readyz", ready},
                                      {"/metrics", metrics}});
}

int Run(const Flags& flags, const sigset_t& signals) {
  auto scratch = std::string("/tmp/tarn-operator.") + std::to_string(getpid());
  auto config = flags.kubeconfig.empty() ? kube::InClusterConfig()
                                         : kube::LoadKubeconfig(flags.kubeconfig, scratch);
  if (!config.ok()) return Fail(config.error());
  kube::PrepareProcess(*config);
  auto transport = kube::NewCpprestTransport(*config);
  if (!transport.ok()) return Fail(transport.error());
  kube::Client client(**transport);
  auto control = op::NewGrpcControl();
  op::Operator op(flags.settings, client, *control, NowSeconds, {});
  std::atomic<bool> leads{false};
  auto health = StartHealth(flags.health_listen, op, leads);
  if (!health.ok()) {
    return Fail(Error(health.code(), "--health-listen: " + health.error().message()));
  }

  op.Watch();
  std::jthread leader([&](const std::stop_token& stop) {
    while (!op.WaitSynced(1s)) {
      if (stop.stop_requested()) return;
    }
    kube::LeaderElection election(
        client, {.lease = {flags.settings.ns, "tarn-operator"}, .identity = Identity()});
    if (!election.Acquire(stop)) return;
    leads = true;
    op.Lead();
    election.Hold(stop, [](const std::string& why) {
      // Another may lead from now on: whatever we still do could be against it.
      spdlog::error("lost the lease: {}", why);
      spdlog::shutdown();
      std::_Exit(1);
    });
  });
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("ends on signal {}", signal);
  // First the work, then the lease: the next leader must not meet us.
  op.Stop();
  leader.request_stop();
  leader.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Tarn's operator: file systems, mount targets, access points, lifecycle policies"};
  app.set_version_flag("--version", std::string(tarn::kVersion));
  app.add_option("--namespace", flags.settings.ns, "its own namespace")->required();
  app.add_option("--server-image", flags.settings.server_image, "image of file servers")
      ->required();
  app.add_option("--driver-name", flags.settings.driver_name, "name of the CSI driver")
      ->capture_default_str();
  app.add_option("--token-audience", flags.settings.token_audience,
                 "audience of pods' tokens, as in the CSIDriver's tokenRequests")
      ->capture_default_str();
  app.add_option("--node-ranges", flags.settings.node_ranges,
                 "addresses of nodes that their Node objects do not tell, as ranges")
      ->delimiter(',');
  app.add_option("--network-policies", flags.settings.network_policies,
                 "auto (unless the cluster has Cilium), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_option("--health-listen", flags.health_listen, "/healthz, /readyz, /metrics")
      ->capture_default_str();
  app.add_option("--kubeconfig", flags.kubeconfig, "outside a cluster; else the service account");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (auto logging = StartLogging("tarn-operator", flags.log_level); !logging.ok()) {
    return Fail(Error(Code::kInvalid, "--log-level: " + logging.error().message()));
  }
  // Before any thread is there, so that only sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Run(flags, signals);
}
