// tarn-tunnel: carries all NFS mounts of a node through TLS to their file servers.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>

#include "common/log.h"
#include "common/system_calls.h"
#include "common/version.h"
#include "tunnel/daemon.h"

namespace {

using namespace tarn;

constexpr timespec kTick{1, 0};

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Keys are in its memory: no core dump, no debugger of another user, nothing for others in what it
// makes.
void Close() {
  prctl(PR_SET_DUMPABLE, 0);
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  umask(0077);
}

// As many open files as the system allows: a mount takes one, a client's connection two.
void RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kNeeded = tunnel::kMountsMax + 2 * tunnel::kConnectionsMax;
  if (limit.rlim_cur < kNeeded) {
    spdlog::warn("the limit of {} open files allows {} connections, not {}: raise it (ulimit -Hn)",
                 limit.rlim_cur, (limit.rlim_cur - std::min(limit.rlim_cur, rlim_t{256})) / 3,
                 tunnel::kConnectionsMax);
  }
}

int Fail(const Error& error) {
  std::fprintf(stderr, "tarn-tunnel: %s\n", error.message().c_str());
  return 1;
}

int Run(const tunnel::Options& options, bool wait_after, const sigset_t& signals) {
  auto daemon = tunnel::Daemon::Start(options);
  if (!daemon.ok()) return Fail(daemon.error());
  bool gone = false;
  while (true) {
    int signal = sigtimedwait(&signals, nullptr, &kTick);
    if (signal > 0) {
      spdlog::info("signal {}: stopping", signal);
      return 0;
    }
    if (!gone && !(*daemon)->Tick()) {
      gone = true;
      if (!wait_after) return 0;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  tunnel::Options options;
  bool wait_after = false;
  bool no_filter = false;
  std::string log_level = "info";
  CLI::App app{"Tarn's tunnel: the NFS mounts of a node, through TLS to their file servers"};
  app.set_version_flag("--version", std::string("tarn-tunnel ") + kVersion);
  app.add_option("--state-dir", options.state_dir, "what outlives this process; in memory (tmpfs)")
      ->capture_default_str();
  app.add_option("--socket", options.socket, "of the management API")->capture_default_str();
  app.add_option("--loopback", options.loopback, "the first address of mounts, in 127.0.0.0/8")
      ->check(CLI::ValidIPV4)
      ->capture_default_str();
  app.add_option("--metrics", options.metrics, "ADDRESS:PORT of /healthz and /metrics");
  app.add_option("--log-level", log_level, "trace, debug, info, warn or error")
      ->capture_default_str();
  app.add_flag("--wait-after-hand-over", wait_after,
               "when another process has taken over, wait for a signal to end: for supervisors "
               "that would start this one again");
  app.add_flag("--no-syscall-filter", no_filter,
               "let this process make any system call; for tools that need to look into it");
  CLI11_PARSE(app, argc, argv);
  Close();
  if (auto logging = StartLogging("tarn-tunnel", log_level); !logging.ok()) {
    return Fail(Error(Code::kInvalid, "--log-level: " + logging.error().message()));
  }
  RaiseOpenFiles();
  if (!no_filter) RestrictSystemCallsOrWarn();
  sigset_t signals = BlockSignals();
  return Run(options, wait_after, signals);
}
