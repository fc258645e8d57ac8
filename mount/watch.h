// Watch: `mount.tarn --watch`, one process a machine, which keeps alive what helper-made mounts
// stand on. A certificate ends after hours, a token after as much, a signature after a day; each
// carriage is given a new one from the same sources before that, and when a source changed. A
// carriage that no mount uses any more is closed. The process ends with the last one.
//
// Mounts of other mount namespaces are seen by their connections only, and the tunnel ends those
// while no server answers: a carriage whose last connection failed, and which was mounted once, is
// not closed.
//
// It may be killed at any time: mounts go on, and the next mount starts it again.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "csi/mount/mount_info.h"
#include "csi/tunnel/tunnel.h"
#include "mount/carriage.h"
#include "mount/state.h"

namespace tarn::mount {

class Watcher {
 public:
  // A carriage is closed that was idle for so many looks one after another: a client that connects
  // anew, or an unmount that is still writing back, is not idle for so long.
  static constexpr int kIdleLooks = 12;
  using Mounts = std::function<Result<std::vector<csi::MountEntry>>()>;

  // All outlive it.
  Watcher(const State& state, csi::Tunnel& tunnel, const Opener& opener, Mounts mounts,
          const Clock& clock = SystemClock())
      : state_(state),
        tunnel_(tunnel),
        opener_(opener),
        mounts_(std::move(mounts)),
        clock_(clock) {}

  // Returns how many carriages are left; one that cannot be read now counts too.
  size_t Look();

 private:
  struct Known {
    std::string of;
    std::chrono::sys_seconds renew_at;
    std::string trouble;  // what was said last; each is said once
    int idle_looks = 0;
  };
  enum class Use {
    kIdle,
    kUsed,
    kLost  // it is mounted, and the tunnel does not have it
  };
  struct Seen {
    std::map<std::string, csi::Tunnel::Mount> open;  // by id
    std::set<std::string> mounted;                   // addresses
  };
  // An error: the tunnel or the list of mounts does not answer.
  Result<Seen> See() const;
  static Use UseOf(const Carriage& carriage, const Seen& seen);
  void Renew(const Carriage& carriage, Known& known);
  static void SayItIsLost(const Carriage& carriage, Known& known);
  bool CloseIfStillIdle(const Carriage& carriage);

  const State& state_;
  csi::Tunnel& tunnel_;
  const Opener& opener_;
  const Mounts mounts_;
  const Clock& clock_;
  std::map<std::string, Known> known_;
  std::string trouble_;
};

// Starts `mount.tarn --watch` unless one runs.
Result<void> StartWatching(const Config& config, const State& state);
// Is it: returns the exit status.
int WatchMain(const Config& config);

}  // namespace tarn::mount
