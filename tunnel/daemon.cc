#include "tunnel/daemon.h"

#include <sstream>

#include "common/grpc/server.h"
#include "common/http_endpoint.h"
#include "common/log.h"
#include "common/version.h"
#include "tunnel/service.h"

namespace tarn::tunnel {
namespace {

class Running : public Daemon {
 public:
  Result<void> Start(const Options& options) {
    TRY(StateDir state, StateDir::Open(options.state_dir));
    TRY(lock_, state.Lock());
    if (!lock_.open()) {
      return Error(Code::kInUse,
                   "--state-dir: another process serves the mounts of " + options.state_dir);
    }
    TRY(carrier_, Carrier::Start(options.times));
    mounts_ = std::make_unique<Mounts>(state, *carrier_, options.loopback);
    TRY(mounts_->Restore());
    service_ = std::make_unique<TunnelService>(*mounts_);
    TRY(server_, rpcs::Server::Start({{options.socket, "", 0600}}, {service_.get()}));
    TRY(StartMetrics(options.metrics));
    spdlog::info("tarn-tunnel {} serves {}", kVersion, options.socket);
    return Ok();
  }

  void Tick() override { mounts_->Tick(); }

 private:
  Result<void> StartMetrics(const std::string& listen) {
    if (listen.empty()) return Ok();
    auto metrics = [this] {
      return HttpEndpoint::Response{.body = Metrics(), .content_type = "text/plain; version=0.0.4"};
    };
    auto started = HttpEndpoint::Start(
        listen, {{"/healthz", [] { return HttpEndpoint::Response{}; }}, {"/metrics", metrics}});
    if (!started.ok()) return Error(started.code(), "--metrics: " + started.error().message());
    metrics_ = std::move(started).value();
    return Ok();
  }

  std::string Metrics() const {
    std::ostringstream text;
    auto add = [&text](const char* name, const char* type, const char* help, uint64_t value) {
      text << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n'
           << name << ' ' << value << '\n';
    };
    uint64_t failing = 0, sent = 0, received = 0;
    const v1::ListMountsResponse list = mounts_->List();
    for (const v1::Mount& mount : list.mounts()) {
      failing += mount.last_error().empty() ? 0 : 1;
      sent += mount.bytes_sent();
      received += mount.bytes_received();
    }
    add("tarn_tunnel_mounts", "gauge", "Open mounts.", mounts_->size());
    add("tarn_tunnel_failing_mounts", "gauge", "Mounts whose last connection failed.", failing);
    add("tarn_tunnel_connections", "gauge", "Connections of NFS clients.", carrier_->connections());
    add("tarn_tunnel_kept_bytes", "gauge", "Bytes that wait for a slow side.",
        carrier_->kept_bytes());
    add("tarn_tunnel_sent_bytes", "gauge", "To servers, of the mounts that are open.", sent);
    add("tarn_tunnel_received_bytes", "gauge", "From servers, of the mounts that are open.",
        received);
    return text.str();
  }

  // Destroyed from the last to the first.
  Fd lock_;
  std::unique_ptr<Carrier> carrier_;
  std::unique_ptr<Mounts> mounts_;
  std::unique_ptr<TunnelService> service_;
  std::unique_ptr<rpcs::Server> server_;
  std::unique_ptr<HttpEndpoint> metrics_;
};

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  auto running = std::make_unique<Running>();
  TRY(running->Start(options));
  return std::unique_ptr<Daemon>(std::move(running));
}

}  // namespace tarn::tunnel
