#include "mount/watch.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "common/log.h"
#include "csi/mount/fuse_start.h"
#include "csi/mount/mounter.h"
#include "mount/mount_log.h"

extern char** environ;

namespace tarn::mount {
namespace {

std::chrono::sys_seconds NowOf(const Clock& clock) {
  return std::chrono::floor<std::chrono::seconds>(
      std::chrono::sys_time<Clock::Nanoseconds>(clock.Now()));
}

}  // namespace

Result<Watcher::Seen> Watcher::See() const {
  Seen seen;
  TRY(auto open, tunnel_.List());
  TRY(auto mounts, mounts_());
  for (auto& one : open) seen.open.emplace(one.id, one);
  for (const auto& mount : mounts) {
    auto server = csi::MountedServer(mount);
    if (server.ok()) seen.mounted.insert(*server);
  }
  return seen;
}

Watcher::Use Watcher::UseOf(const Carriage& carriage, const Seen& seen) {
  auto found = seen.open.find(carriage.Id());
  if (found == seen.open.end()) {
    return seen.mounted.contains(carriage.address) ? Use::kLost : Use::kIdle;
  }
  const auto& open = found->second;
  bool cut_off = !open.last_error.empty() && !carriage.address.empty();
  bool used = open.connections > 0 || seen.mounted.contains(open.address) || cut_off;
  return used ? Use::kUsed : Use::kIdle;
}

void Watcher::Renew(const Carriage& carriage, Known& known) {
  // Nobody but the mount itself had the key; its certificate is as good as its signature.
  if (carriage.identity.kind == IdentitySource::Kind::kEnvironment) return;
  auto renew = [&]() -> Result<void> {
    TRY(Opening opening, opener_.Prepare(carriage));
    if (opening.of == known.of && NowOf(clock_) < known.renew_at) return Ok();
    TRY(tunnel_.Open(opening.request));
    spdlog::info("{}: file system {} has a new certificate, of {}", carriage.Id(),
                 carriage.file_system_id, carriage.identity.Describe());
    known.of = opening.of;
    known.renew_at = opening.renew_at;
    return Ok();
  };
  auto renewed = renew();
  std::string trouble = renewed.ok() ? "" : renewed.error().message();
  if (trouble != known.trouble && !trouble.empty()) {
    spdlog::warn("{}: file system {} has no new certificate: {}", carriage.Id(),
                 carriage.file_system_id, trouble);
  }
  known.trouble = trouble;
}

// Opening it would give it another address, where its mounts do not look for it.
void Watcher::SayItIsLost(const Carriage& carriage, Known& known) {
  std::string trouble = "the tunnel does not carry " + carriage.address +
                        " any more, which is mounted: has its state been lost? Unmount it (umount "
                        "-l), and mount it again";
  if (trouble != known.trouble) {
    spdlog::warn("{}: file system {}: {}", carriage.Id(), carriage.file_system_id, trouble);
  }
  known.trouble = trouble;
}

bool Watcher::CloseIfStillIdle(const Carriage& carriage) {
  auto hold = state_.TryToClose();
  if (!hold) return false;
  auto seen = See();
  if (!seen.ok() || UseOf(carriage, *seen) != Use::kIdle) return false;
  auto closed = tunnel_.Close(carriage.Id());
  if (!closed.ok()) return false;
  state_.Remove(carriage);
  spdlog::info("{}: file system {} carries no mount any more, and is closed", carriage.Id(),
               carriage.file_system_id);
  return true;
}

size_t Watcher::Look() {
  bool unread = false;
  auto carriages = state_.ReadAll(&unread);
  size_t left = carriages.size() + (unread ? 1 : 0);
  auto seen = See();
  std::string trouble = seen.ok() ? "" : seen.error().message();
  if (trouble != trouble_ && !trouble.empty()) spdlog::warn("{}", trouble);
  trouble_ = trouble;
  if (!seen.ok()) return left;
  for (const auto& carriage : carriages) {
    const std::string id = carriage.Id();
    Known& known = known_[id];
    Use use = UseOf(carriage, *seen);
    known.idle_looks = use == Use::kIdle ? known.idle_looks + 1 : 0;
    if (use == Use::kUsed) Renew(carriage, known);
    if (use == Use::kLost) SayItIsLost(carriage, known);
    if (known.idle_looks >= kIdleLooks && CloseIfStillIdle(carriage)) {
      known_.erase(id);
      --left;
    }
  }
  return left;
}

Result<void> StartWatching(const Config& config, const State& state) {
  if (!state.TryToWatch()) return Ok();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, 0, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::vector<std::string> words = {"mount.tarn", "--watch"};
  if (!config.file.empty()) words.insert(words.end(), {"--config", config.file});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  int failed = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed == 0) return Ok();
  return Error(Code::kInternal,
               std::string("cannot start mount.tarn --watch: ") + std::strerror(failed));
}

int WatchMain(const Config& config) {
  // The unit or session that mounted may end, and everything in its control group with it.
  if (!config.cgroup.empty()) (void)csi::LeaveCgroup("/sys/fs/cgroup", config.cgroup);
  (void)chdir("/");
  LogToFile("mount.tarn --watch", config.log);
  auto run = [&]() -> Result<void> {
    TRY(State state, State::Open(config.state));
    auto watching = state.TryToWatch();
    if (!watching) return Ok();
    TRY(auto tunnel, csi::NewTunnelClient(config.tunnel));
    Opener opener(config, ProcessEnvironment);
    Watcher watcher(state, *tunnel, opener, [] { return csi::ReadMountInfo(); });
    for (;;) {
      if (watcher.Look() == 0) {
        auto alone = state.TryToClose();
        bool unread = false;
        bool done = alone && state.ReadAll(&unread).empty() && !unread;
        // In this order: who waits to mount sees that nobody watches.
        if (done) watching.reset();
        if (done) return Ok();
      }
      std::this_thread::sleep_for(config.interval);
    }
  };
  auto done = run();
  if (done.ok()) return 0;
  spdlog::error("{}", done.error().message());
  return 1;
}

}  // namespace tarn::mount
