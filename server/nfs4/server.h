// The NFS 4.0, 4.1 and 4.2 server: RPC program 100003, version 4 (RFC 7530, RFC 8881, RFC 7862).
//
// It serves what Exports shows, on any number of listeners, with one table of clients. Clients and
// what they hold survive a restart by the records of their recovery (state/recovery.h).
// Threads: any number of calls at once. `exports`, `records` and `clock` must outlive it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <thread>

#include "server/nfs4/services.h"
#include "server/rpc/program.h"

namespace tarn::nfs4 {

class Server : public rpc::Program {
 public:
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Exports& exports,
                                               vfs::RecordStore& records, const Clock& clock);
  ~Server() override;

  uint32_t number() const override { return NFS4_PROGRAM; }
  rpc::version_range versions() const override { return {NFS4_VERSION, NFS4_VERSION}; }
  bool TellsWaits() const override { return true; }
  rpc::accept_stat Handle(const rpc::Call& call, xdr::Decoder& arguments,
                          xdr::Encoder& results) override;

  // Expires leases and ends the grace period; called by a thread of its own unless options.tick is
  // zero.
  void Tick();
  bool InGrace() const { return services_.recovery->InGrace(); }
  size_t clients() { return services_.clients.size(); }
  // What they hold, about, and may hold (state/tenants.h).
  size_t state_bytes() { return services_.clients.bounds().bytes.held(); }
  size_t state_bytes_max() { return services_.clients.bounds().bytes.max(); }

 private:
  Server(const ServerOptions& options, Exports& exports, const Clock& clock,
         std::unique_ptr<Recovery> recovery);
  void TickLoop();

  Services services_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread ticker_;
};

}  // namespace tarn::nfs4
