// /metrics: the server's numbers in the text format of Prometheus.
#pragma once

#include <string>

#include "server/control/manager.h"
#include "server/rpc/server.h"

namespace tarn::daemon {

struct Numbers {
  rpc::ServerCounters rpc;
  vfs::EngineCounters engine;
  std::vector<control::Manager::FileSystemUsage> file_systems;
  std::vector<control::KeyKeeper::KeyState> keys;
  size_t nfs_clients = 0;
  size_t nfs_state_bytes = 0;
  size_t nfs_state_bytes_max = 0;
  bool in_grace = false;
  double start_time = 0;  // seconds since 1970
};

std::string MetricsText(const Numbers& numbers);

}  // namespace tarn::daemon
