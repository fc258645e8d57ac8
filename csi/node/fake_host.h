// For tests: a machine whose mounts are a table. Mounts can be made to die, to hang, and to be
// busy.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "csi/mount/host.h"
#include "csi/mount/mounter.h"

namespace tarn::csi {

class FakeHost : public Host, public Mounter {
 public:
  std::string_view name() const override { return "fake"; }

  Result<std::vector<MountEntry>> Mounts() override {
    std::lock_guard guard(mu_);
    return mounts_;
  }
  Result<void> Check(const std::string& path) override {
    std::lock_guard guard(mu_);
    auto mount = FindMount(mounts_, path);
    if (!mount) return directories_.contains(path) ? Ok() : Error(Code::kNotFound, path);
    return State(mount->device);
  }
  Result<void> Bind(const std::string& source, const std::string& target, bool read_only) override {
    std::lock_guard guard(mu_);
    auto mount = FindMount(mounts_, source);
    if (!mount) return Error(Code::kInternal, "nothing to bind at " + source);
    mount->target = target;
    directories_.insert(target);
    if (read_only) mount->options = "ro";
    mounts_.push_back(*mount);
    return Ok();
  }
  Result<void> Unmount(const std::string& target, bool remove_directory) override {
    if (auto hook = std::exchange(at_unmount, nullptr)) hook();
    std::lock_guard guard(mu_);
    if (remove_directory) directories_.erase(target);
    std::erase_if(mounts_, [&](const auto& mount) { return mount.target == target; });
    return Ok();
  }
  Result<Usage> StatFs(const std::string& path) override {
    std::lock_guard guard(mu_);
    auto mount = FindMount(mounts_, path);
    if (!mount) return Error(Code::kNotFound, path);
    TRY(State(mount->device));
    return usage;
  }
  Result<void> Mount(const MountRequest& request, std::chrono::milliseconds) override {
    std::lock_guard guard(mu_);
    TRY(mount_answer);
    MountEntry entry;
    entry.device = "0:" + std::to_string(++made_);
    entry.target = request.target;
    entry.options = (request.options.flags & 1) != 0 ? "ro" : "rw";  // MS_RDONLY
    entry.type = "fuse.tarn";
    entry.source = request.server + ":" + request.export_path;
    mounts_.push_back(entry);
    return Ok();
  }

  // As the kernel's client does with one more mount of a server that it is connected to.
  void ShowServer(const std::string& target, const std::string& source) {
    std::lock_guard guard(mu_);
    for (auto& mount : mounts_) {
      if (mount.target == target) mount.source = source;
    }
  }
  void HangAt(const std::string& target) {
    std::lock_guard guard(mu_);
    for (const auto& mount : mounts_) {
      if (mount.target == target) hung_.insert(mount.device);
    }
  }
  void KillAt(const std::string& target) {
    std::lock_guard guard(mu_);
    for (const auto& mount : mounts_) {
      if (mount.target == target) dead_.insert(mount.device);
    }
  }
  // All mounts that exist now.
  void Kill() {
    std::lock_guard guard(mu_);
    for (const auto& mount : mounts_) dead_.insert(mount.device);
  }
  void Hang() {
    std::lock_guard guard(mu_);
    for (const auto& mount : mounts_) hung_.insert(mount.device);
  }
  int made() const { return made_; }
  bool HasDirectory(const std::string& path) { return directories_.contains(path); }

  Usage usage{100, 40, 60, 10, 4, 6};
  Result<void> mount_answer = Ok();
  std::function<void()> at_unmount;  // called once, when the next unmount begins

 private:
  Result<void> State(const std::string& device) const {
    if (dead_.contains(device)) return Error(Code::kStale, "dead");
    if (hung_.contains(device)) return Error(Code::kDeadlineExceeded, "hung");
    return Ok();
  }

  std::mutex mu_;
  std::vector<MountEntry> mounts_;
  std::set<std::string> directories_, dead_, hung_;
  int made_ = 0;
};

}  // namespace tarn::csi
