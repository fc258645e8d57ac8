#include "mount/mount_main.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "common/log.h"
#include "common/text.h"
#include "common/version.h"
#include "csi/mount/host.h"
#include "csi/mount/mounter.h"
#include "csi/mount/nfs_mount.h"
#include "mount/carriage.h"
#include "mount/command_line.h"
#include "mount/mount_log.h"
#include "mount/state.h"
#include "mount/text.h"
#include "mount/watch.h"

extern char** environ;

namespace tarn::mount {
namespace {

constexpr int kFailed = 1;
constexpr int kMountFailed = 32;
constexpr std::chrono::seconds kPause{1};  // between tries
constexpr int kTimeouts = 3;               // that a server which does not answer is tried for

Environment TakeAwsEnvironment() {
  std::map<std::string, std::string> taken;
  for (char** one = environ; *one != nullptr; ++one) {
    std::string text = *one;
    size_t equals = text.find('=');
    if (text.starts_with("AWS_") && equals != std::string::npos) {
      taken[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  for (const auto& [name, value] : taken) unsetenv(name.c_str());
  return [taken = std::move(taken)](const std::string& name) {
    auto found = taken.find(name);
    return found == taken.end() ? std::string() : found->second;
  };
}

// Absolute, without links. Does not look at a mount that is there: one that is dead may hang.
std::string MountPoint(const std::filesystem::path& given, int links_max = 40) {
  std::error_code failed;
  auto path = std::filesystem::absolute(given, failed);
  while (path.has_relative_path() && (path.filename().empty() || path.filename() == ".")) {
    path = path.parent_path();
  }
  auto parent = std::filesystem::canonical(path.parent_path(), failed);
  if (failed) parent = path.parent_path();
  path = (parent / path.filename()).lexically_normal();
  std::string text = path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  auto mounts = csi::ReadMountInfo();
  if (links_max == 0 || (mounts.ok() && csi::FindMount(*mounts, text))) return text;
  auto link = std::filesystem::read_symlink(text, failed);
  return failed ? text : MountPoint(parent / link, links_max - 1);
}

int Fail(const Error& error, int status = kFailed) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  spdlog::error("{}", error.message());
  return status;
}

class Mount {
 public:
  Mount(const CommandLine& line, const Device& device, const Options& options, const Config& config,
        Environment environment)
      : line_(line),
        device_(device),
        options_(options),
        config_(config),
        environment_(std::move(environment)),
        target_(MountPoint(line.mount_point)),
        host_(csi::NewHost(runner_)) {}

  int Run();

 private:
  // An error: what is there is dead, and stays.
  Result<bool> IsMounted();
  Result<void> MakeThroughTunnel();
  Result<void> MakePlain();
  Result<void> MakeAt(const std::string& server);
  Error Denied(const Error& error, const IdentitySource& identity) const;
  Error NoTunnel(const Error& error) const;
  void Say(const std::string& what) const {
    if (line_.verbose) std::printf("%s\n", what.c_str());
    spdlog::info("{}", what);
  }
  const CommandLine& line_;
  const Device& device_;
  const Options& options_;
  const Config& config_;
  const Environment environment_;
  const std::string target_;
  csi::HelperRunner runner_;
  std::unique_ptr<csi::Host> host_;
  bool tried_ = false;  // mount(2), or the FUSE process
};

Result<bool> Mount::IsMounted() {
  auto mounts = csi::ReadMountInfo();
  auto mount = mounts.ok() ? csi::FindMount(*mounts, target_) : std::nullopt;
  if (!mount || !csi::IsTarnMount(*mount)) return false;
  if (host_->Check(target_).code() != Code::kStale) return true;
  spdlog::warn("the mount at {} is dead: mounting it again", target_);
  auto gone = host_->Unmount(target_, false);
  if (gone.ok()) return false;
  return Error(gone.code(), "the mount at " + target_ +
                                " is dead, and cannot be unmounted: " + gone.error().message());
}

Result<void> Mount::MakeAt(const std::string& server) {
  csi::MounterOptions settings;
  settings.mounter = config_.mounter;
  settings.log_dir = std::filesystem::path(config_.log).parent_path();
  settings.cgroup = config_.cgroup;
  TRY(auto mounter, csi::NewMounter(runner_, settings));
  csi::MountRequest request{server, device_.path, target_, options_.nfs, "fuse" + target_};
  for (char& c : request.log_name) {
    if (c == '/') c = '.';
  }
  tried_ = true;
  // By time, since a server that starts anew refuses connections at once.
  const auto give_up = std::chrono::steady_clock::now() + kTimeouts * config_.timeout;
  for (;;) {
    auto made = mounter->Mount(request, config_.timeout);
    bool again = made.code() == Code::kUnavailable || made.code() == Code::kDeadlineExceeded;
    if (!again || std::chrono::steady_clock::now() + kPause >= give_up) return made;
    Say("trying again: " + made.error().message());
    std::this_thread::sleep_for(kPause);
  }
}

Error Mount::Denied(const Error& error, const IdentitySource& identity) const {
  if (error.code() != Code::kDenied) return error;
  std::string what = "file system " + device_.file_system_id;
  if (!options_.access_point_id.empty()) what += ", access point " + options_.access_point_id;
  return Error(
      error.code(),
      "access denied by the server while mounting " + device_.text + ": the policy of " + what +
          " does not let this client mount it (" +
          (options_.tls ? "it is " + identity.Describe() : "it comes without the \"tls\" option") +
          "). " + error.message());
}

Error Mount::NoTunnel(const Error& error) const {
  return Error(
      error.code(),
      "Failed to initialize tunnel for " + device_.file_system_id + ": " + error.message() +
          "; the \"tls\" option needs a tarn-tunnel that runs as root on this machine: on a "
          "node of a cluster the DaemonSet tarn-tunnel, elsewhere start it, and name its "
          "socket in /etc/tarn/mount.conf ('tunnel') if it is not " +
          config_.tunnel);
}

Result<void> Mount::MakeThroughTunnel() {
  TRY(IdentitySource identity, ChooseIdentity(options_, environment_));
  Carriage carriage = MakeCarriage(device_, options_, identity, config_);
  TRY(auto tunnel, csi::NewTunnelClient(config_.tunnel));
  Opener opener(config_, environment_);
  TRY(Opening opening, opener.Prepare(carriage));
  TRY(State state, State::Open(config_.state));
  auto make = [&]() -> Result<void> {
    TRY(auto hold, state.Share());
    TRY(state.Write(carriage));
    auto address = tunnel->Open(opening.request);
    if (!address.ok()) return NoTunnel(address.error());
    TRY(MakeAt(*address));
    carriage.address = *address;
    auto written = state.Write(carriage);
    if (!written.ok()) spdlog::warn("{}", written.error().message());
    return Ok();
  };
  auto made = make();
  // Also after a failure: what was opened in vain is closed again.
  auto watching = StartWatching(config_, state);
  if (!watching.ok()) spdlog::warn("{}", watching.error().message());
  if (made.ok()) return Ok();
  Error error = Denied(made.error(), identity);
  auto open = tunnel->List();
  for (const auto& one : open.ok() ? *open : std::vector<csi::Tunnel::Mount>()) {
    if (one.id != carriage.Id() || one.last_error.empty()) continue;
    return Error(error.code(),
                 error.message() + "; the connection to the server failed: " + one.last_error);
  }
  return error;
}

Result<void> Mount::MakePlain() {
  Carriage way = MakeCarriage(device_, options_, {}, config_);
  TRY(std::string server, FindServer(way, config_));
  if (options_.port) {
    TRY(csi::HostPort at, csi::SplitHostPort(server));
    at.port = *options_.port;
    server = csi::JoinHostPort(at);
  }
  auto made = MakeAt(server);
  if (made.ok()) return Ok();
  return Denied(made.error(), {});
}

int Mount::Run() {
  std::error_code ignored;
  auto there = IsMounted();
  if (!there.ok()) return Fail(there.error(), kMountFailed);
  if (*there) {
    std::printf("%s is already mounted, please run 'mount' command to verify\n",
                line_.mount_point.c_str());
    return 0;
  }
  if (!std::filesystem::is_directory(target_, ignored)) {
    return Fail(Error(Code::kInvalid,
                      "mount point " + line_.mount_point + " does not exist, or is no directory"));
  }
  if (line_.fake) return Say(device_.text + " would be mounted at " + target_), 0;
  auto made = options_.tls ? MakeThroughTunnel() : MakePlain();
  if (!made.ok()) return Fail(made.error(), tried_ ? kMountFailed : kFailed);
  Say(device_.text + " is mounted at " + target_ + (options_.tls ? ", through TLS" : ""));
  return 0;
}

// Known before anything else can fail, since it says where failures are logged.
std::string ConfigFileOf(const std::vector<std::string>& lists) {
  std::string file;
  for (const auto& list : lists) {
    for (std::string_view option : Split(list, ',')) {
      if (option.starts_with("config=/")) file = option.substr(std::string_view("config=").size());
    }
  }
  return file;
}

int RunMount(const CommandLine& line, const Environment& environment) {
  LogToFile("mount.tarn", Config().log);
  auto config = ReadConfig(ConfigFileOf(line.options));
  if (!config.ok()) return Fail(config.error());
  LogToFile("mount.tarn", config->log);
  auto options = ParseOptions(line.options, line.sloppy);
  if (!options.ok()) return Fail(options.error());
  auto device = ParseDevice(line.device);
  if (!device.ok()) return Fail(device.error());
  return Mount(line, *device, *options, *config, environment).Run();
}

}  // namespace

int MountMain(int argc, char** argv) {
  Environment environment = TakeAwsEnvironment();
  auto line = ParseCommandLine({argv + 1, argv + argc});
  if (!line.ok()) {
    std::fprintf(stderr, "%s\n%s", line.error().message().c_str(), UsageOf(argv[0]).c_str());
    return kFailed;
  }
  switch (line->what) {
    case CommandLine::What::kVersion:
      std::printf("%s Version: %s\n", argv[0], kVersion);
      return 0;
    case CommandLine::What::kHelp:
      std::fputs(UsageOf(argv[0]).c_str(), stdout);
      return 0;
    default:
      break;
  }
  if (geteuid() != 0) {
    std::fputs("only root can run this command\n", stderr);
    return kFailed;
  }
  if (line->what == CommandLine::What::kMount) return RunMount(*line, environment);
  auto config = ReadConfig(line->config_file);
  if (config.ok()) return WatchMain(*config);
  std::fprintf(stderr, "%s\n", config.error().message().c_str());
  return kFailed;
}

}  // namespace tarn::mount
