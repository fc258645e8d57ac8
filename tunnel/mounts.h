// Mounts: the table of open mounts, kept in the state directory, carried by the carrier.
//
// Threads: any; calls are done one at a time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "api/tunnel.pb.h"
#include "tunnel/carrier.h"
#include "tunnel/state_dir.h"

namespace tarn::tunnel {

class Mounts {
 public:
  // New mounts have addresses from `loopback` on, in turn, from a random port on.
  Mounts(StateDir state, Carrier& carrier, const std::string& loopback)
      : state_(std::move(state)), carrier_(carrier), addresses_(loopback, std::random_device{}()) {}

  // Opens again all that the state directory has. `listeners`, by mount id, came from the process
  // before; others are made. One whose address somebody else has now is tried again by Tick.
  Result<void> Restore(std::map<std::string, Fd> listeners = {});
  void Tick();

  // api/tunnel.proto. What was answered is in the state directory.
  Result<LocalAddress> Open(const v1::OpenMountRequest& request);
  Result<void> Close(const std::string& mount_id);
  v1::ListMountsResponse List() const;

  std::shared_ptr<Mount> Find(const std::string& mount_id) const;

 private:
  Result<LocalAddress> OpenNew(const v1::OpenMountRequest& request,
                               const std::shared_ptr<const Settings>& settings);
  void RestoreOne(const MountRecord& record, Fd listener);
  void ListenAgain(const std::shared_ptr<Mount>& mount);

  mutable std::mutex mutex_;  // guards all below
  const StateDir state_;
  Carrier& carrier_;
  Addresses addresses_;
  std::map<std::string, std::shared_ptr<Mount>> mounts_;
  std::vector<std::shared_ptr<Mount>> deaf_;  // somebody else has their address
};

}  // namespace tarn::tunnel
