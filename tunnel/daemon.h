// Daemon: tarn-tunnel put together: state, carrier, mounts, management API, metrics.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"
#include "tunnel/limits.h"

namespace tarn::tunnel {

struct Options {
  std::string state_dir = "/run/tarn-tunnel";
  std::string socket = "/run/tarn-tunnel/tunnel.sock";
  std::string loopback = kFirstLoopback;  // the first address of new mounts
  std::string metrics;                    // ADDRESS:PORT; empty: none
  Times times;
};

class Daemon {
 public:
  // Serves all mounts of the state directory when it returns. Another process that served them
  // until now has handed them over (handover.h). kInUse: it does not.
  static Result<std::unique_ptr<Daemon>> Start(const Options& options);
  virtual ~Daemon() = default;
  // Once a second. False: another process has taken over; this one has let go of everything and may
  // end.
  virtual bool Tick() = 0;
};

}  // namespace tarn::tunnel
