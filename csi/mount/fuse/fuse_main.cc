#include "csi/mount/fuse/fuse_main.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <thread>

#include "common/log.h"
#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

namespace {

constexpr unsigned kThreadsMax = 128;
constexpr unsigned kIdleThreads = 4;
constexpr int kReadAheadKilobytes = 8192;

// Tells who started this process how the mount went: "ok", or "error CODE MESSAGE".
void Report(const Options& options, const std::string& line) {
  if (options.ready_fd < 0) return;
  std::string text = line + "\n";
  [[maybe_unused]] ssize_t written = write(options.ready_fd, text.data(), text.size());
  close(options.ready_fd);
}

// The kernel reads ahead 128 KiB by default; several requests of the largest size keep the server
// busy. Where /sys cannot be written the default stays. The kernel sets the default when it handles
// the answer to FUSE_INIT, so this must come after that.
void RaiseReadAhead(const std::string& mountpoint) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  std::string device;
  char resolved[PATH_MAX];
  std::string wanted = realpath(mountpoint.c_str(), resolved) != nullptr ? resolved : mountpoint;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string id, parent, number, root, where;
    words >> id >> parent >> number >> root >> where;
    if (where == wanted) device = number;
  }
  std::ofstream("/sys/class/bdi/" + device + "/read_ahead_kb") << kReadAheadKilobytes;
}

// A session and the threads that end it: at SIGTERM or SIGINT after what is written is stable, and
// when the kernel lets go of the connection.
class Session {
 public:
  explicit Session(FileSystem& files) : files_(files) {}
  ~Session() {
    if (session_ != nullptr) fuse_session_destroy(session_);
  }
  Result<void> Mount(const Options& options);
  void Run();

 private:
  void WatchSignals();
  void WatchKernel();
  void Leave();

  FileSystem& files_;
  fuse_session* session_ = nullptr;
  std::string mountpoint_;
  pthread_t main_ = pthread_self();
  std::mutex mutex_;
  std::condition_variable over_changed_;
  std::atomic<bool> over_{false};
};

Result<void> Session::Mount(const Options& options) {
  std::vector<std::string> words = {"tarn-fuse", "-o", FuseOptionList(options)};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  session_ = fuse_session_new(&args, &FileSystem::Operations(), sizeof(fuse_lowlevel_ops), &files_);
  fuse_opt_free_args(&args);
  if (session_ == nullptr) return Error(Code::kInternal, "the FUSE session cannot be made");
  files_.SetSession(session_);
  mountpoint_ = options.mountpoint;
  if (fuse_session_mount(session_, options.mountpoint.c_str()) != 0) {
    return Error(Code::kUnavailable, "--mountpoint: " + options.mountpoint +
                                         " cannot be mounted on (is it a directory, is /dev/fuse "
                                         "there, is this root?)");
  }
  return Ok();
}

void Session::Leave() {
  fuse_session_exit(session_);
  files_.Stop();
  while (!over_) {
    pthread_kill(main_, SIGUSR2);  // wakes libfuse's main thread
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void Session::WatchSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  int number = 0;
  sigwait(&set, &number);
  if (over_) return;
  spdlog::info("signal {}: unmounting", number);
  files_.SyncAll();
  Leave();
}

// Asked now and then: a thread that waits in poll() would be woken by every request.
void Session::WatchKernel() {
  constexpr std::chrono::seconds kEvery{2};
  constexpr std::chrono::milliseconds kInitialized{200};  // FUSE_INIT is answered by then, mostly
  std::unique_lock lock(mutex_);
  over_changed_.wait_for(lock, kInitialized);
  RaiseReadAhead(mountpoint_);
  bool first = true;
  bool gone = false;
  while (!over_) {
    over_changed_.wait_for(lock, kEvery);
    if (over_) return;
    if (std::exchange(first, false)) RaiseReadAhead(mountpoint_);
    // Requests that wait for the server would keep the session, though nobody waits for them: they
    // have until the next look to end by themselves.
    if (gone) break;
    pollfd device{fuse_session_fd(session_), 0, 0};
    gone = poll(&device, 1, 0) == 1;
  }
  lock.unlock();
  if (!over_) Leave();
}

void Session::Run() {
  std::thread signals([this] { WatchSignals(); });
  std::thread kernel([this] { WatchKernel(); });
  struct sigaction wake = {};
  wake.sa_handler = [](int) {};  // without SA_RESTART
  sigaction(SIGUSR2, &wake, nullptr);
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, kThreadsMax);
  fuse_loop_cfg_set_idle_threads(config, kIdleThreads);
  fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  over_changed_.notify_all();
  fuse_session_unmount(session_);
  pthread_kill(signals.native_handle(), SIGUSR1);
  signals.join();
  kernel.join();
}

void BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int Fail(const Options& options, const Error& error) {
  fprintf(stderr, "tarn-csi fuse: %s\n", error.message().c_str());
  Report(options, "error " + std::string(CodeName(error.code())) + " " + error.message());
  return 1;
}

int Serve(const Options& options) {
  BlockSignals();
  auto files = FileSystem::Connect(options);
  if (!files.ok()) return Fail(options, files.error());
  Session session(**files);
  auto mounted = session.Mount(options);
  if (!mounted.ok()) return Fail(options, mounted.error());
  spdlog::info("{} is mounted on {}", options.source, options.mountpoint);
  Report(options, "ok");
  session.Run();
  spdlog::info("{} is unmounted", options.mountpoint);
  return 0;
}

}  // namespace

}  // namespace tarn::fuse

namespace tarn::csi {

int FuseMain(int argc, char** argv) {
  using namespace tarn::fuse;
  CLI::App app("Serves one FUSE mount of an NFS server, where the kernel has no NFS client.");
  Options options;
  std::string server;
  std::string path;
  std::string flags;
  app.add_option("--server", server, "ADDRESS:PORT of the mount target")->required();
  app.add_option("--export", path, "what to mount: /fsap-… or a directory in it")->required();
  app.add_option("--mountpoint", options.mountpoint, "directory to mount on")->required();
  app.add_option("--source", options.source, "the mount's name (default ADDRESS:PORT:EXPORT)");
  app.add_option("--options", flags, "mount options, separated by commas");
  app.add_option("--ready-fd", options.ready_fd, "descriptor that is told how the mount went");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error");
  CLI11_PARSE(app, argc, argv);
  if (options.source.empty()) options.source = server + ":" + path;
  auto parsed = StartLogging("tarn-fuse", options.log_level);
  if (parsed.ok()) parsed = ParseServer(server, options);
  if (parsed.ok()) parsed = ParseExport(path, options);
  if (parsed.ok()) parsed = ParseMountOptions(flags, options);
  if (!parsed.ok()) return Fail(options, parsed.error());
  // Large replies come from the heap, not from fresh pages each; few arenas keep an idle mount
  // small.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 8 << 20);
  return Serve(options);
}

}  // namespace tarn::csi
