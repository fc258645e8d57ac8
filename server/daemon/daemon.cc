#include "server/daemon/daemon.h"

#include <grpcpp/impl/codegen/service_type.h>
#include <spdlog/spdlog.h>

#include "common/version.h"
#include "server/audit/log.h"
#include "server/control/service.h"
#include "server/daemon/data_dir.h"
#include "server/daemon/engines.h"
#include "server/daemon/memory_limit.h"
#include "server/daemon/metrics.h"
#include "server/daemon/own_node.h"

namespace tarn::daemon {
namespace {

// The same error, with the flag in front.
Error Of(const std::string& flag, const Error& error) {
  return Error(error.code(), flag + ": " + error.message());
}

}  // namespace

Daemon::Daemon(const Options& options) : options_(options) {}

Result<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  std::unique_ptr<Daemon> daemon(new Daemon(options));
  TRY(daemon->Run());
  return daemon;
}

Result<void> Daemon::Run() {
  auto begin = clock_.Monotonic();
  started_ = clock_.Now();
  const uint32_t wanted = rpc::ServerOptions().connections_max;
  FileBudget budget = RaiseOpenFiles(wanted, kEngineFiles);
  connections_max_ = budget.connections;
  engine_files_ = budget.engine_files;
  if (connections_max_ < wanted) {
    spdlog::warn("the limit of {} open files allows {} connections, not {}: raise it (ulimit -Hn)",
                 budget.limit, connections_max_, wanted);
  }
  if (!options_.audit_log.empty()) {
    if (auto opened = audit::OpenFile(options_.audit_log); !opened.ok()) {
      return Of("--audit-log", opened.error());
    }
  }
  TRY(StartHttp());
  TRY(OpenEngine());
  TRY(StartNfs());
  TRY(StartControl());
  ready_ = true;
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Monotonic() - begin);
  spdlog::info("tarn-server {} serves NFS on {} from {} after {} ms", kVersion,
               HostPort{options_.listen.host, nfs_port_}.Text(), options_.data_dir, took.count());
  if (http_) spdlog::info("http on port {}", http_->port());
  if (!options_.control_listen.empty()) spdlog::info("control on port {}", control_->port(1));
  return Ok();
}

Daemon::~Daemon() {
  ready_ = false;
  if (engine_) engine_->Hurry();  // calls, and the keeper of keys, may be in it
  http_ = nullptr;
  // The control API first: it can still open listeners. Then the listeners, and with them all
  // calls; the state of clients; the resources; at last the engine.
  control_ = nullptr;
  if (manager_) manager_->StopServing();
  rpc_ = nullptr;
  nfs_ = nullptr;
  service_ = nullptr;
  access_ = nullptr;
  manager_ = nullptr;
  engine_ = nullptr;
}

// First, so that /readyz answers while a large store opens.
Result<void> Daemon::StartHttp() {
  if (options_.http_listen.empty()) return Ok();
  std::map<std::string, HttpEndpoint::Handler> paths;
  paths["/healthz"] = [] { return HttpEndpoint::Response(); };
  paths["/readyz"] = [this] {
    if (ready_) return HttpEndpoint::Response();
    return HttpEndpoint::Response{.status = 503, .body = "starting\n"};
  };
  paths["/metrics"] = [this] {
    if (!ready_) return HttpEndpoint::Response{.status = 503, .body = "starting\n"};
    return HttpEndpoint::Response{.status = 200,
                                  .body = Metrics(),
                                  .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  };
  auto http = HttpEndpoint::Start(options_.http_listen, std::move(paths));
  if (!http.ok()) return Of("--http-listen", http.error());
  http_ = std::move(http).value();
  return Ok();
}

Result<void> Daemon::OpenEngine() {
  auto ring = keys::KeyRing::Open(options_.keys, options_.default_key);
  if (!ring.ok()) return Of("--key, --default-key", ring.error());
  keys_ = std::move(ring).value();
  auto engine = daemon::OpenEngine(options_.engine, options_.data_dir, engine_files_, clock_);
  if (!engine.ok()) return Of("--data-dir " + options_.data_dir, engine.error());
  engine_ = std::move(engine).value();
  control::Options control;
  control.default_address = options_.listen.host;
  control.default_port = options_.listen.port;
  control.scrub_every = options_.scrub_every;
  control.scrub_bytes_per_second = options_.scrub_bytes_per_second;
  control.keys = keys_.get();
  control.decisions = &journal_;
  control.closed = options_.closed;
  control.own_node = ReadOwnNode();
  control.keeper.check_every = options_.key_check_every;
  control.keeper.unwrap_every = 2 * options_.key_check_every;
  control.keeper.unavailable_max = options_.key_unavailable_max;
  if (!options_.user_groups.empty()) {
    auto file = identity::WatchedFile<identity::UserGroups>::Open(options_.user_groups);
    if (!file.ok()) return Of("--user-groups", file.error());
    user_groups_ = std::move(file).value();
    control.settle_groups = [this](vfs::Caller& caller) {
      user_groups_->Current()->Apply(caller.uid, caller.gid, caller.gids);
    };
  }
  auto manager = control::Manager::Open(*engine_, clock_, control);
  if (!manager.ok()) return Of("--data-dir " + options_.data_dir, manager.error());
  manager_ = std::move(manager).value();
  if (options_.file_system_id.empty()) return Ok();
  auto made = manager_->EnsureDefaultFileSystem(options_.file_system_id, options_.file_system_key);
  return made.ok() ? Ok() : Of("--file-system-id", made.error());
}

Result<void> Daemon::StartAccess() {
  access::AccessControl::Trusted trusted;
  if (!options_.token_issuers.empty()) {
    auto file = identity::WatchedFile<identity::TokenIssuers>::Open(options_.token_issuers);
    if (!file.ok()) return Of("--token-issuers", file.error());
    issuers_ = std::move(file).value();
    trusted.issuers = [this] { return issuers_->Current(); };
  }
  if (!options_.access_keys.empty()) {
    auto file = identity::WatchedFile<identity::AccessKeys>::Open(options_.access_keys);
    if (!file.ok()) return Of("--access-keys", file.error());
    access_keys_ = std::move(file).value();
    trusted.access_keys = [this] { return access_keys_->Current(); };
  }
  if (user_groups_) trusted.user_groups = [this] { return user_groups_->Current(); };
  access_ = std::make_unique<access::AccessControl>(manager_->exports(), manager_->policies(),
                                                    std::move(trusted), clock_, journal_);
  return Ok();
}

Result<void> Daemon::StartNfs() {
  nfs4::ServerOptions nfs;
  nfs.lease = options_.lease;
  nfs.limits.bytes = std::min(nfs.limits.bytes, MemoryLimit() / 4);
  TRY(StartAccess());
  TRY(nfs_, nfs4::Server::Start(nfs, *access_, engine_->records(), clock_));
  rpc::ServerOptions rpc;
  rpc.connections_max = connections_max_;
  rpc::Guard guard{.tls = nullptr, .gate = access_.get()};
  if (options_.tls != TlsUse::kOff) {
    auto tls = tls::ServerTls::Open(options_.tls_dir);
    if (!tls.ok()) return Of("--tls-dir", tls.error());
    guard.tls = std::move(tls).value();
    guard.tls_required = options_.tls == TlsUse::kRequired;
  }
  TRY(rpc_, rpc::Server::Start(rpc, *nfs_, std::move(guard)));
  auto listener =
      rpc_->Listen(options_.listen.host, options_.listen.port, control::kDefaultListenerTag);
  if (!listener.ok()) return Of("--listen " + options_.listen.Text(), listener.error());
  nfs_port_ = listener->port;
  manager_->Serve(*rpc_);
  return Ok();
}

Result<void> Daemon::StartControl() {
  service_ = control::NewService(*manager_);
  std::vector<rpcs::ListenAt> listeners{{.endpoint = options_.control_socket, .tls_dir = {}}};
  if (!options_.control_listen.empty()) {
    listeners.push_back({.endpoint = options_.control_listen, .tls_dir = options_.control_tls_dir});
  }
  auto control = rpcs::Server::Start(listeners, {service_.get()});
  if (!control.ok()) {
    return Of(listeners.size() == 1 ? "--control-socket" : "--control-listen, --control-socket",
              control.error());
  }
  control_ = std::move(control).value();
  return Ok();
}

std::string Daemon::Metrics() {
  Numbers numbers;
  numbers.rpc = rpc_->counters();
  numbers.engine = engine_->counters();
  numbers.file_systems = manager_->Usage();
  numbers.keys = manager_->keeper().Keys();
  numbers.nfs_clients = nfs_->clients();
  numbers.nfs_state_bytes = nfs_->state_bytes();
  numbers.nfs_state_bytes_max = nfs_->state_bytes_max();
  numbers.in_grace = nfs_->InGrace();
  numbers.start_time = std::chrono::duration<double>(started_).count();
  return MetricsText(numbers);
}

}  // namespace tarn::daemon
