// What every operation of the NFS server works with. One object of each, made by Server.
#pragma once

#include <chrono>

#include "common/clock.h"
#include "server/nfs4/exports.h"
#include "server/nfs4/handle.h"
#include "server/nfs4/state/client_table.h"
#include "server/nfs4/state/copy_jobs.h"
#include "server/nfs4/state/delegations.h"
#include "server/nfs4/state/file_state.h"
#include "server/nfs4/state/recovery.h"
#include "server/nfs4/state/replay_cache.h"

namespace tarn::nfs4 {

struct ServerOptions {
  std::chrono::seconds lease{30};
  // How often expired state and the grace period are looked after, by a thread of the server; zero:
  // only by Server::Tick.
  std::chrono::milliseconds tick{500};
  StateLimits limits = {};
};

struct Services {
  Services(const ServerOptions& with, Exports& exported, const Clock& time,
           std::unique_ptr<Recovery> recovered)
      : options(with),
        exports(exported),
        clock(time),
        recovery(std::move(recovered)),
        handles(recovery->handle_key()),
        clients(*recovery, files, clock, with.lease, with.limits),
        delegations(files, clients, clock, with.lease),
        replays(clock),
        copies(clock) {}

  // Ends the grace period when it is over, and then releases what the last run left unlinked.
  void EndGraceIfDue();

  const ServerOptions options;
  Exports& exports;
  const Clock& clock;
  const std::unique_ptr<Recovery> recovery;
  const HandleCodec handles;
  FileTable files;
  ClientTable clients;
  Delegations delegations;
  ReplayCache replays;
  CopyJobs copies;  // last: ends first, and with it what works on the others
};

}  // namespace tarn::nfs4
