// Volumes: the mounts of this node's volumes, staged, published, taken away and repaired.
//
// What is mounted is read from /proc/self/mountinfo each time, never remembered, so a restart of
// the plugin loses nothing. One small file a staged volume says how it was staged, for the repair
// of a mount whose FUSE process died.
//
// Thread-safe. Calls block for the deadlines of Host and Mounter at most.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/host.h"
#include "csi/mount/mounter.h"
#include "csi/node/plan.h"
#include "csi/node/pod_mounts.h"
#include "csi/node/volume_records.h"
#include "csi/volume_locks.h"

namespace tarn::csi {

struct VolumesOptions {
  std::string state_dir;  // of the files about staged volumes; made when it is not there
  std::string pods_dir;   // where kubelet's target paths are
  std::chrono::milliseconds mount_deadline{30'000};
};

class Volumes {
 public:
  // A call waits this long for another one on the same volume or path (the health loop, as a rule)
  // before it is told to come back.
  static constexpr std::chrono::milliseconds kLockWait{2000};

  // All outlive it. `pods`: null where there is no tunnel, so that nothing can be encrypted.
  Volumes(Host& host, Mounter& mounter, const Planner& planner, PodMounts* pods,
          VolumesOptions options)
      : host_(host),
        mounter_(mounter),
        planner_(planner),
        pods_(pods),
        options_(std::move(options)),
        records_(options_.state_dir) {}

  // A volume that is encrypted in transit is mounted for each pod, so its staging does nothing.
  // Idempotent. kAlreadyExists: something else is mounted there; kAborted: another call works on
  // it.
  Result<void> Stage(const StageRequest& request);
  Result<void> Unstage(const std::string& volume_id, const std::string& staging_path);
  // kWrongState: a single-writer volume is published elsewhere; kAlreadyExists: published here with
  // another read-only.
  Result<void> Publish(const PublishRequest& request);
  Result<void> Unpublish(const std::string& target_path);

  struct Health {
    std::optional<Usage> usage;
    std::string problem;  // empty: none
  };
  // kNotFound: no volume of ours is mounted at `path`.
  Result<Health> Stats(const std::string& path);

  // Mounts anew what a dead FUSE process served, and binds its targets to that. Of every staged
  // volume; errors are logged. Returns how many were repaired. Also closes what the tunnel has
  // open for no mount.
  int RepairAll();

 private:
  // A plan and where its server is.
  struct Placed : Plan {
    std::string server;
  };
  Result<Placed> Place(Plan plan) const;
  Result<void> CheckTunnel(const Plan& plan) const;
  // The mount at the staging path, after it was made if there was none (or a dead one).
  Result<MountEntry> EnsureStaged(const StageRequest& request, const Placed& plan);
  Result<void> PublishStaged(const PublishRequest& request, const Placed& plan);
  Result<void> RebindTargets(const Placed& plan, const MountEntry& staged);
  Result<bool> RepairOne(const StageRequest& request, std::set<std::string>& silent);
  Result<void> CheckSingleWriter(const PublishRequest& request, const MountEntry& staged);

  Host& host_;
  Mounter& mounter_;
  const Planner& planner_;
  PodMounts* const pods_;
  const VolumesOptions options_;
  const VolumeRecords records_;
  VolumeLocks locks_;
};

}  // namespace tarn::csi
