// Volumes: the mounts of this node's volumes, staged, published, taken away and repaired.
//
// What is mounted is read from /proc/self/mountinfo each time, never remembered, so a restart of
// the plugin loses nothing. One small file a staged volume says how it was staged, for the repair
// of a mount whose FUSE process died.
//
// Thread-safe. Calls block for the deadlines of Host and Mounter at most.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/host.h"
#include "csi/mount/mounter.h"
#include "csi/registry.h"
#include "csi/volume_id.h"
#include "csi/volume_locks.h"

namespace tarn::csi {

// How one volume is to be mounted at its staging path.
struct StageRequest {
  std::string volume_id;
  std::string staging_path;
  std::map<std::string, std::string> context;
  std::vector<std::string> mount_flags;
};

struct PublishRequest {
  StageRequest stage;
  std::string target_path;
  bool read_only = false;
  bool single_writer = false;  // no second publish on this node
};

struct VolumesOptions {
  std::string zone;
  std::string state_dir;  // of the files about staged volumes; made when it is not there
  std::string pods_dir;   // where kubelet's target paths are
  std::chrono::milliseconds mount_deadline{30'000};
};

class Volumes {
 public:
  // A call waits this long for another one on the same volume or path (the health loop, as a rule)
  // before it is told to come back.
  static constexpr std::chrono::milliseconds kLockWait{2000};

  // `registry` may be null. All outlive it.
  Volumes(Host& host, Mounter& mounter, Registry* registry, VolumesOptions options)
      : host_(host), mounter_(mounter), registry_(registry), options_(std::move(options)) {}

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
  // volume; errors are logged. Returns how many were repaired.
  int RepairAll();

 private:
  struct Plan {
    std::string server;
    std::string export_path;
    MountOptions options;
  };
  Result<Plan> MakePlan(const StageRequest& request);
  // The mount at the staging path, after it was made if there was none (or a dead one).
  Result<MountEntry> EnsureStaged(const StageRequest& request, const Plan& plan);
  Result<void> RebindTargets(const Plan& plan, const MountEntry& staged);
  Result<bool> RepairOne(const StageRequest& request, std::set<std::string>& silent);
  Result<void> CheckSingleWriter(const PublishRequest& request, const MountEntry& staged);

  std::string RecordPath(const std::string& volume_id) const;
  void WriteRecord(const StageRequest& request);
  std::vector<StageRequest> ReadRecords() const;

  Host& host_;
  Mounter& mounter_;
  Registry* const registry_;
  const VolumesOptions options_;
  VolumeLocks locks_;
};

}  // namespace tarn::csi
