#include "server/nfs4/server.h"

#include "common/log.h"
#include "server/nfs4/compound.h"

namespace tarn::nfs4 {

void Services::EndGraceIfDue() {
  if (!recovery->EndGraceIfDue()) return;
  for (const auto& root : exports.FileSystems()) {
    auto released = root->engine->ReleaseOrphans();
    if (!released.ok()) {
      spdlog::error("nfs: cannot release the unlinked files of file system {}: {}",
                    root->file_system, released.error().ToString());
    }
  }
}

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Exports& exports,
                                              vfs::RecordStore& records, const Clock& clock) {
  TRY(auto recovery, Recovery::Start(records, clock, options.lease));
  std::unique_ptr<Server> server(new Server(options, exports, clock, std::move(recovery)));
  return server;
}

Server::Server(const ServerOptions& options, Exports& exports, const Clock& clock,
               std::unique_ptr<Recovery> recovery)
    : services_(options, exports, clock, std::move(recovery)) {
  services_.recovery->OnForgetSession([&exports](std::string_view slots) {
    for (const auto& root : exports.FileSystems()) {
      auto forgotten = root->engine->ForgetReplays(slots);
      if (!forgotten.ok()) {
        spdlog::error("nfs: cannot forget what a session did in file system {}: {}",
                      root->file_system, forgotten.error().ToString());
      }
    }
  });
  if (options.tick.count() > 0) ticker_ = std::thread([this] { TickLoop(); });
}

Server::~Server() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Server::TickLoop() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, services_.options.tick, [this] { return stop_; })) {
    lock.unlock();
    Tick();
    lock.lock();
  }
}

void Server::Tick() {
  services_.EndGraceIfDue();
  services_.clients.Tick();
  services_.copies.Tick();
  services_.delegations.Tick();
}

rpc::accept_stat Server::Handle(const rpc::Call& call, xdr::Decoder& arguments,
                                xdr::Encoder& results) {
  switch (call.procedure) {
    case NFSPROC4_NULL:
      return rpc::SUCCESS;
    case NFSPROC4_COMPOUND:
      return Compound(services_, call, arguments, results).Run();
    default:
      return rpc::PROC_UNAVAIL;
  }
}

}  // namespace tarn::nfs4
