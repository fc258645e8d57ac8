#include "csi/node/volumes.h"

#include "common/log.h"

namespace tarn::csi {

namespace {

// The staging path itself, or the same directory seen through another mount of kubelet's.
bool IsStaging(const std::string& target, const std::string& staging_path) {
  size_t name = staging_path.rfind('/');
  size_t parent = name == 0 ? 0 : staging_path.rfind('/', name - 1);
  return target.ends_with(staging_path.substr(parent));
}

}  // namespace

Result<Volumes::Placed> Volumes::Place(Plan plan) const {
  Placed placed{std::move(plan), ""};
  TRY(placed.server, planner_.Server(placed));
  return placed;
}

Result<void> Volumes::CheckTunnel(const Plan& plan) const {
  if (!plan.encrypted || pods_ != nullptr) return Ok();
  return Error(Code::kWrongState,
               "encryption in transit needs the node's tarn-tunnel (--tunnel), which this node "
               "plugin was not told of; encryptInTransit \"false\" mounts without it");
}

Result<MountEntry> Volumes::EnsureStaged(const StageRequest& request, const Placed& plan) {
  const std::string& path = request.staging_path;
  TRY(auto mounts, host_.Mounts());
  if (auto mount = FindMount(mounts, path)) {
    if (!IsMountOf(*mount, plan.server, plan.id.ExportPath())) {
      return Error(Code::kAlreadyExists, "staging path '" + path + "' has a mount of '" +
                                             mount->source + "', not of volume '" +
                                             request.volume_id + "'");
    }
    Result<void> alive = host_.Check(path);
    // A server that does not answer now may come back: its mount waits for it, and so do we not.
    if (alive.code() != Code::kStale) return *mount;
    spdlog::warn("volume {}: the mount at {} is dead; mounting it again", request.volume_id, path);
    TRY(host_.Unmount(path, false));
  }
  TRY(mounter_.Mount({plan.server, plan.id.ExportPath(), path, plan.options, ""},
                     options_.mount_deadline));
  TRY(mounts, host_.Mounts());
  auto mount = FindMount(mounts, path);
  if (!mount) return Error(Code::kInternal, "the mount at '" + path + "' vanished at once");
  spdlog::info("volume {} mounted at {} by {}", request.volume_id, path, mounter_.name());
  return *mount;
}

Result<void> Volumes::Stage(const StageRequest& request) {
  TRY(Plan plan, planner_.Make(request));
  TRY(CheckTunnel(plan));
  if (plan.encrypted) return Ok();
  TRY(Placed placed, Place(std::move(plan)));
  TRY(auto hold, locks_.Take(request.volume_id, kLockWait));
  TRY(EnsureStaged(request, placed));
  // Without the record the volume works; it only would not be repaired, which the log then tells.
  auto wrote = records_.Write(request.volume_id, {request, request.staging_path, false});
  if (!wrote.ok()) spdlog::warn("volume {}: {}", request.volume_id, wrote.error().message());
  return Ok();
}

Result<void> Volumes::Unstage(const std::string& volume_id, const std::string& staging_path) {
  TRY(auto hold, locks_.Take(volume_id, kLockWait));
  records_.Remove(volume_id);
  return host_.Unmount(staging_path, false);
}

Result<void> Volumes::CheckSingleWriter(const PublishRequest& request, const MountEntry& staged) {
  if (!request.single_writer) return Ok();
  TRY(auto mounts, host_.Mounts());
  for (const auto& mount : mounts) {
    if (mount.device != staged.device || mount.target == request.target_path) continue;
    if (IsStaging(mount.target, request.stage.staging_path)) continue;
    return Error(Code::kWrongState, "volume '" + request.stage.volume_id +
                                        "' is for a single writer (ReadWriteOncePod) and already "
                                        "published at '" +
                                        mount.target + "'");
  }
  return Ok();
}

Result<void> Volumes::Publish(const PublishRequest& request) {
  TRY(Plan plan, planner_.Make(request.stage));
  TRY(CheckTunnel(plan));
  // A pod that runs keeps what it has when the default of volumes changes.
  bool through_tunnel = plan.encrypted || (pods_ != nullptr && pods_->Has(request.target_path));
  if (through_tunnel) return pods_->Publish(request, plan);
  TRY(Placed placed, Place(std::move(plan)));
  return PublishStaged(request, placed);
}

Result<void> Volumes::PublishStaged(const PublishRequest& request, const Placed& plan) {
  const std::string& target = request.target_path;
  TRY(auto hold, locks_.Take(target, kLockWait));
  // Several pods of one volume are published at once; only the mount under them is for one at a
  // time.
  std::optional<MountEntry> staged;
  {
    TRY(auto stage_hold, locks_.Take(request.stage.volume_id, kLockWait));
    // Normally it is staged; should its mount have been lost since, this makes it again.
    TRY(staged, EnsureStaged(request.stage, plan));
  }
  TRY(auto mounts, host_.Mounts());
  if (auto mount = FindMount(mounts, target)) {
    if (mount->device == staged->device) {
      if (mount->read_only() == (request.read_only || staged->read_only())) return Ok();
      return Error(Code::kAlreadyExists, "volume '" + request.stage.volume_id +
                                             "' is published at '" + target +
                                             "' with another readonly than asked for");
    }
    TRY(host_.Unmount(target,
                      false));  // of a mount that died, or of another volume that was forgotten
  }
  TRY(CheckSingleWriter(request, *staged));
  return host_.Bind(request.stage.staging_path, target, request.read_only);
}

Result<void> Volumes::Unpublish(const std::string& target_path) {
  TRY(auto hold, locks_.Take(target_path, kLockWait));
  if (pods_ != nullptr) return pods_->Unpublish(target_path);
  return host_.Unmount(target_path, true);
}

Result<Volumes::Health> Volumes::Stats(const std::string& path) {
  TRY(auto mounts, host_.Mounts());
  auto mount = FindMount(mounts, path);
  if (!mount || !IsTarnMount(*mount)) {
    return Error(Code::kNotFound, "no volume of this driver is mounted at '" + path + "'");
  }
  Health health;
  Result<Usage> usage = host_.StatFs(path);
  if (usage.ok()) {
    health.usage = *usage;
    if (usage->bytes_total > 0 && usage->bytes_available == 0)
      health.problem = "the volume is full";
    if (usage->files_total > 0 && usage->files_free == 0) {
      health.problem = "the volume has no files left to make";
    }
    return health;
  }
  switch (usage.code()) {
    case Code::kStale:
      health.problem =
          "the mount is dead: its FUSE process ended, or the server no longer knows it";
      return health;
    case Code::kDeadlineExceeded:
      health.problem = "the file server does not answer";
      return health;
    default:
      return std::move(usage).error();
  }
}

Result<void> Volumes::RebindTargets(const Placed& plan, const MountEntry& staged) {
  TRY(auto mounts, host_.Mounts());
  for (const auto& mount : mounts) {
    if (mount.device == staged.device || mount.target == staged.target) continue;
    if (!mount.target.starts_with(options_.pods_dir + "/")) continue;
    if (!IsMountOf(mount, plan.server, plan.id.ExportPath())) continue;
    if (host_.Check(mount.target).code() != Code::kStale) continue;
    TRY(auto hold, locks_.Take(mount.target));
    TRY(host_.Unmount(mount.target, false));
    TRY(host_.Bind(staged.target, mount.target, mount.read_only()));
    spdlog::info("bound {} again", mount.target);
  }
  return Ok();
}

Result<bool> Volumes::RepairOne(const StageRequest& request, std::set<std::string>& silent) {
  TRY(auto hold, locks_.Take(request.volume_id));
  TRY(auto mounts, host_.Mounts());
  auto mount = FindMount(mounts, request.staging_path);
  if (!mount) {
    // After a restart of the machine: kubelet stages what it needs.
    records_.Remove(request.volume_id);
    return false;
  }
  if (mount->type != "fuse.tarn") return false;  // the kernel's mounts do not die
  TRY(Plan made, planner_.Make(request));
  TRY(Placed plan, Place(std::move(made)));
  if (silent.contains(plan.server)) return false;
  Code state = host_.Check(request.staging_path).code();
  if (state == Code::kDeadlineExceeded) {
    silent.insert(plan.server);
    return false;
  }
  MountEntry staged = *mount;
  if (state == Code::kStale) {
    TRY(staged, EnsureStaged(request, plan));
  }
  TRY(RebindTargets(plan, staged));
  return staged.device != mount->device;
}

int Volumes::RepairAll() {
  int repaired = 0;
  std::set<std::string> silent;  // servers that do not answer: nothing can be done for their mounts
  for (const auto& record : records_.ReadAll()) {
    const StageRequest& request = record.stage;
    Result<bool> done = RepairOne(request, silent);
    if (done.ok()) {
      repaired += *done ? 1 : 0;
    } else if (done.code() != Code::kAborted) {
      spdlog::warn("volume {}: repair: {}", request.volume_id, done.error().message());
    }
  }
  if (pods_ != nullptr) {
    repaired += pods_->RepairAll();
    pods_->Reconcile();
  }
  return repaired;
}

}  // namespace tarn::csi
