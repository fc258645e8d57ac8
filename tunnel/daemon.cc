#include "tunnel/daemon.h"

#include <mutex>
#include <sstream>
#include <thread>

#include "common/grpc/server.h"
#include "common/http_endpoint.h"
#include "common/log.h"
#include "common/version.h"
#include "tunnel/handover.h"
#include "tunnel/service.h"

namespace tarn::tunnel {
namespace {

// For how long a process that is just starting or ending is waited for.
constexpr std::chrono::seconds kLockWait{20};
constexpr std::chrono::milliseconds kLockRetry{50};

class Running : public Daemon {
 public:
  ~Running() override {
    hand_over_.reset();  // first, since it uses all others
  }

  Result<void> Start(const Options& options) {
    options_ = options;
    TRY(StateDir state, StateDir::Open(options.state_dir));
    TRY(carrier_, Carrier::Start(options.times));
    mounts_ = std::make_unique<Mounts>(state, *carrier_, options.loopback);
    service_ = std::make_unique<TunnelService>(*mounts_);
    TRY(Restore(state));
    TRY(StartManaging());
    // Whom we took over from has the address still.
    auto metrics = StartMetrics();
    if (!metrics.ok() && !took_over_) return metrics;
    TRY(hand_over_, HandOverServer::Start({.path = state.HandOverSocket(),
                                           .lock = lock_.get(),
                                           .carrier = *carrier_,
                                           .stop_managing = [this] { StopManaging(); },
                                           .resume_managing = [this] { ResumeManaging(); }}));
    spdlog::info("tarn-tunnel {} serves {}", kVersion, options.socket);
    return Ok();
  }

  bool Tick() override {
    if (!hand_over_) return false;  // since the last time
    if (hand_over_->done()) {
      LetGo();
      return false;
    }
    if (!metrics_) (void)StartMetrics();
    // A mount that began to listen now would take clients that are not told to leave.
    if (!hand_over_->giving()) mounts_->Tick();
    return true;
  }

 private:
  // Who took over may end before this process does; the one after it then needs the lock and the
  // addresses, and no client may wait for this one.
  void LetGo() {
    metrics_.reset();
    hand_over_.reset();
    StopManaging();
    service_.reset();
    mounts_.reset();
    carrier_.reset();
    lock_.Close();
  }

  // From the process that serves the mounts, or else from the state directory.
  Result<void> Restore(const StateDir& state) {
    auto give_up = std::chrono::steady_clock::now() + kLockWait;
    while (true) {
      TRY(lock_, state.Lock());
      if (lock_.open()) return mounts_->Restore();
      auto channel = HandOverChannel::Connect(state.HandOverSocket());
      if (channel.ok()) {
        auto taken = TakeListeners(*channel);
        if (taken.ok()) return TakeOver(*channel, std::move(taken).value());
        // It may have ended just now; then the lock is free.
        if (taken.code() != Code::kUnavailable) return taken.error();
      }
      if (std::chrono::steady_clock::now() > give_up) {
        return Error(Code::kInUse, "--state-dir: another process serves the mounts of " +
                                       state.path() + " and does not hand them over");
      }
      std::this_thread::sleep_for(kLockRetry);
    }
  }

  Result<void> TakeOver(HandOverChannel& channel, TakenOver taken) {
    took_over_ = true;
    lock_ = std::move(taken.lock);
    TRY(mounts_->Restore(std::move(taken.listeners)));
    return TakeConnections(channel, *mounts_, *carrier_);
  }

  Result<void> StartManaging() {
    std::lock_guard lock(server_mutex_);
    TRY(server_, rpcs::Server::Start({{options_.socket, "", 0600}}, {service_.get()}));
    return Ok();
  }
  void StopManaging() {
    std::lock_guard lock(server_mutex_);
    server_.reset();
  }
  void ResumeManaging() {
    auto started = StartManaging();
    if (!started.ok()) spdlog::error("{}", started.error().message());
  }

  Result<void> StartMetrics() {
    const std::string& listen = options_.metrics;
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
    add("tarn_tunnel_mounts", "gauge", "Open mounts.", static_cast<uint64_t>(list.mounts_size()));
    add("tarn_tunnel_failing_mounts", "gauge", "Mounts whose last connection failed.", failing);
    add("tarn_tunnel_connections", "gauge", "Connections of NFS clients.", carrier_->connections());
    add("tarn_tunnel_kept_bytes", "gauge", "Bytes that wait for a slow side.",
        carrier_->kept_bytes());
    add("tarn_tunnel_sent_bytes", "gauge", "To servers, of the mounts that are open.", sent);
    add("tarn_tunnel_received_bytes", "gauge", "From servers, of the mounts that are open.",
        received);
    return text.str();
  }

  Options options_;
  bool took_over_ = false;
  // Destroyed from the last to the first.
  Fd lock_;
  std::unique_ptr<Carrier> carrier_;
  std::unique_ptr<Mounts> mounts_;
  std::unique_ptr<TunnelService> service_;
  std::mutex server_mutex_;
  std::unique_ptr<rpcs::Server> server_;  // guarded by server_mutex_
  std::unique_ptr<HttpEndpoint> metrics_;
  std::unique_ptr<HandOverServer> hand_over_;
};

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  auto running = std::make_unique<Running>();
  TRY(running->Start(options));
  return std::unique_ptr<Daemon>(std::move(running));
}

}  // namespace tarn::tunnel
