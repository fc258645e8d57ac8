#include "csi/plugin.h"

#include <grpcpp/create_channel.h>
#include <signal.h>

#include <CLI/CLI.hpp>

#include "api/csi.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/endpoint.h"
#include "common/http_endpoint.h"
#include "common/log.h"
#include "common/version.h"

namespace tarn::csi {
namespace {

constexpr std::chrono::seconds kProbeTimeout{3};
constexpr timespec kTick{1, 0};

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// False when `tick` wanted an end.
bool WaitForSignal(const std::function<bool()>& tick) {
  sigset_t set = StopSignals();
  for (;;) {
    int got = sigtimedwait(&set, nullptr, &kTick);
    if (got > 0) {
      spdlog::info("signal {}: stopping", got);
      return true;
    }
    if (tick && !tick()) return false;
  }
}

int Fail(const std::string& program, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), error.message().c_str());
  return 1;
}

}  // namespace

void AddPluginFlags(CLI::App& app, PluginFlags& flags) {
  app.add_option("--endpoint", flags.endpoint, "CSI socket, such as unix:///csi/csi.sock")
      ->required();
  app.add_option("--driver-name", flags.driver_name, "name of the CSI driver")
      ->capture_default_str();
  app.add_option("--health-listen", flags.health_listen,
                 "ADDRESS:PORT of /healthz; without it there is none");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn or error")
      ->capture_default_str();
  app.set_version_flag("--version", std::string("tarn-csi ") + kVersion);
}

void BlockSignals() {
  sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

Result<void> ProbePlugin(const std::string& endpoint) {
  TRY(auto channel, rpcs::OpenChannel(endpoint, ""));
  auto stub = ::csi::v1::Identity::NewStub(channel);
  ::csi::v1::ProbeResponse response;
  return rpcs::Call(*stub, &::csi::v1::Identity::Stub::Probe, ::csi::v1::ProbeRequest(), response,
                    kProbeTimeout, endpoint);
}

int RunPlugin(const std::string& program, const PluginFlags& flags,
              const std::vector<grpc::Service*>& services, std::function<bool()> tick,
              const std::function<Result<std::unique_ptr<rpcs::Server>>()>& more) {
  auto server = rpcs::Server::Start({{flags.endpoint, "", 0600}}, services);
  if (!server.ok()) return Fail(program, server.error());
  std::unique_ptr<HttpEndpoint> health;
  if (!flags.health_listen.empty()) {
    auto answer = [endpoint = flags.endpoint]() -> HttpEndpoint::Response {
      Result<void> probe = ProbePlugin(endpoint);
      if (probe.ok()) return {};
      return {503, probe.error().message() + "\n"};
    };
    auto started = HttpEndpoint::Start(flags.health_listen, {{"/healthz", answer}});
    if (!started.ok()) return Fail(program, started.error());
    health = std::move(started).value();
  }
  std::unique_ptr<rpcs::Server> beside;
  if (more) {
    auto started = more();
    if (!started.ok()) return Fail(program, started.error());
    beside = std::move(started).value();
  }
  spdlog::info("{} {} serves {} on {}", program, kVersion, flags.driver_name, flags.endpoint);
  bool asked = WaitForSignal(tick);
  beside.reset();  // kubelet hears first that we leave
  health.reset();
  (*server).reset();
  return asked ? 0 : 1;
}

}  // namespace tarn::csi
