// tarn-server: flags, signals, exit codes. What it is made of is in server/daemon.
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <future>
#include <thread>

#include "common/log.h"
#include "common/system_calls.h"
#include "server/daemon/daemon.h"
#include "server/daemon/data_dir.h"
#include "server/daemon/options.h"

namespace {

using tarn::Error;
using tarn::daemon::Daemon;

int Fail(const Error& error) {
  std::fprintf(stderr, "tarn-server: %s\n", error.message().c_str());
  return 1;
}

// Before any thread starts, so that all threads block them and only sigwait takes them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a client that went away is an error of write()
  return signals;
}

// A READ takes and gives back a megabyte. By default the allocator gets such pieces from the system
// and returns them at once, and clearing their pages costs as much as copying the data.
void KeepLargeMemory() {
  constexpr int kPieceBytesMax = 4 << 20;
  constexpr int kKeptBytesMax = 64 << 20;  // at the end of each arena
  mallopt(M_MMAP_THRESHOLD, kPieceBytesMax);
  mallopt(M_TRIM_THRESHOLD, kKeptBytesMax);
}

}  // namespace

int main(int argc, char** argv) {
  auto command = tarn::daemon::ParseCommandLine(argc, argv);
  if (!command.ok()) return Fail(command.error());
  if (command->text) {
    std::fputs(command->text->c_str(), stdout);
    return 0;
  }
  const auto& options = command->options;
  auto logging = tarn::StartLogging("tarn-server", options.log_level);
  if (!logging.ok())
    return Fail(Error(logging.code(), "--log-level: " + logging.error().message()));
  if (options.prepare_data_dir) {
    auto prepared = tarn::daemon::PrepareDataDir(options.data_dir, options.prepare_data_dir->uid,
                                                 options.prepare_data_dir->gid);
    return prepared.ok() ? 0 : Fail(prepared.error());
  }
  KeepLargeMemory();
  if (!options.no_syscall_filter) tarn::RestrictSystemCallsOrWarn();
  sigset_t signals = BlockSignals();
  // A thread of its own waits for them, so that a start that takes long can be ended too: nothing
  // was acknowledged yet, and the engine is as safe as after a crash.
  std::atomic<bool> started = false;
  std::promise<int> stop;
  std::thread waiter([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    if (!started) _exit(0);
    stop.set_value(signal);
  });
  waiter.detach();
  auto daemon = Daemon::Start(options);
  if (!daemon.ok()) {
    std::fflush(nullptr);
    _exit(Fail(daemon.error()));  // the thread above still waits
  }
  started = true;
  spdlog::info("signal {}: stopping", stop.get_future().get());
  daemon.value().reset();
  spdlog::info("stopped");
  return 0;
}
