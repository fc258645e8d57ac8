#include "mount/watch.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
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

std::optional<std::map<std::string, bool>> Watcher::AskWhichAreUsed(std::string* why) const {
  auto open = tunnel_.List();
  auto mounts = mounts_();
  if (!open.ok() || !mounts.ok()) {
    *why = open.ok() ? mounts.error().message() : open.error().message();
    return std::nullopt;
  }
  std::set<std::string> connected;
  for (const auto& mount : *mounts) {
    auto server = csi::MountedServer(mount);
    if (server.ok()) connected.insert(*server);
  }
  std::map<std::string, bool> used;
  // Mounts of other mount namespaces are seen by their connections only.
  for (const auto& one : *open) {
    used[one.id] = one.connections > 0 || connected.contains(one.address);
  }
  return used;
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

bool Watcher::CloseIfStillIdle(const Carriage& carriage) {
  auto hold = state_.TryToClose();
  if (!hold) return false;
  std::string why;
  auto used = AskWhichAreUsed(&why);
  if (!used || (*used)[carriage.Id()]) return false;
  auto closed = tunnel_.Close(carriage.Id());
  if (!closed.ok()) return false;
  state_.Remove(carriage);
  spdlog::info("{}: file system {} carries no mount any more, and is closed", carriage.Id(),
               carriage.file_system_id);
  return true;
}

size_t Watcher::Look() {
  auto carriages = state_.ReadAll();
  size_t left = carriages.size();
  std::string trouble;
  auto used = AskWhichAreUsed(&trouble);
  if (!used) {
    if (trouble != trouble_) spdlog::warn("{}", trouble);
    trouble_ = trouble;
    return left;
  }
  trouble_.clear();
  for (const auto& carriage : carriages) {
    const std::string id = carriage.Id();
    Known& known = known_[id];
    if ((*used)[id]) {
      known.idle_looks = 0;
      Renew(carriage, known);
    } else if (++known.idle_looks >= kIdleLooks && CloseIfStillIdle(carriage)) {
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
        bool done = alone && state.ReadAll().empty();
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
