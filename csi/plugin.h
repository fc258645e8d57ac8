// What both plugins do around their services: start, answer health, wait for a signal, end in good
// order.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/grpc/server.h"
#include "common/result.h"

namespace CLI {
class App;
}

namespace tarn::csi {

struct PluginFlags {
  std::string endpoint;
  std::string driver_name = "efs.csi.tarn.dev";
  std::string health_listen;
  std::string log_level = "info";
};

// Adds the flags above to `app`.
void AddPluginFlags(CLI::App& app, PluginFlags& flags);

// Call first, before any thread exists: SIGTERM and SIGINT wait for RunPlugin from here on.
void BlockSignals();

// Serves `services` on the endpoint and `more` beside it (kubelet's registration), answers /healthz
// with a Probe through the socket itself, and returns the exit status after SIGTERM or SIGINT.
// `tick` is called every second.
int RunPlugin(const std::string& program, const PluginFlags& flags,
              const std::vector<grpc::Service*>& services, std::function<bool()> tick,
              const std::function<Result<std::unique_ptr<rpcs::Server>>()>& more = {});

// A Probe of the plugin at that endpoint; an error says what is wrong with it.
Result<void> ProbePlugin(const std::string& endpoint);

}  // namespace tarn::csi
