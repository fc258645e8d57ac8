#include "csi/mount/mounter.h"

#include <algorithm>
#include <atomic>

#include "common/log.h"
#include "csi/mount/nfs_mount.h"

namespace tarn::csi {
namespace {

constexpr std::chrono::milliseconds kStartMargin{500};

std::vector<std::string> SplitOptions(const std::string& text) {
  std::vector<std::string> list;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find(',', at), text.size());
    list.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return list;
}

class KernelMounter : public Mounter {
 public:
  explicit KernelMounter(HelperRunner& runner) : runner_(runner) {}
  std::string_view name() const override { return "kernel"; }

  Result<void> Mount(const MountRequest& request, std::chrono::milliseconds deadline) override {
    std::vector<std::string> arguments = {"mount-nfs", request.server, request.export_path,
                                          request.target};
    for (auto& option : SplitOptions(request.options.ToString())) arguments.push_back(option);
    TRY(runner_.Run(arguments, deadline));
    return Ok();
  }

 private:
  HelperRunner& runner_;
};

class FuseMounter : public Mounter {
 public:
  FuseMounter(HelperRunner& runner, MounterOptions options)
      : runner_(runner), options_(std::move(options)) {}
  std::string_view name() const override { return "fuse"; }

  Result<void> Mount(const MountRequest& request, std::chrono::milliseconds deadline) override {
    std::string log =
        options_.log_dir + "/" +
        (request.log_name.empty() ? LogName(request.export_path) : request.log_name + ".log");
    // The helper kills the FUSE process at its own deadline; ours comes later, for a helper that
    // hangs itself.
    auto inner = std::max(deadline - kStartMargin, deadline / 2);
    TRY(HostPort at, SplitHostPort(request.server));
    std::string server = JoinHostPort(at);
    auto started =
        runner_.Run({"start-fuse", log, options_.cgroup, std::to_string(inner.count()),
                     request.target, "--server", server, "--export", request.export_path,
                     "--options", request.options.ToString(), "--log-level", options_.log_level},
                    deadline);
    if (started.ok()) return Ok();
    (void)runner_.Run({"detach", request.target}, std::chrono::seconds{5});
    std::string what = "Could not mount \"" + server + ":" + request.export_path + "\" at \"" +
                       request.target + "\": ";
    return Error(started.code(), what + started.error().message() + " (log: " + log + ")");
  }

 private:
  static std::string LogName(const std::string& export_path) {
    std::string name = export_path.substr(1);
    for (char& c : name) {
      if (c == '/') c = '-';
    }
    return (name.empty() ? "root" : name.substr(0, 200)) + ".log";
  }

  HelperRunner& runner_;
  const MounterOptions options_;
};

// The kernel's client where it is built in or can be loaded, else FUSE.
class AutoMounter : public Mounter {
 public:
  AutoMounter(std::unique_ptr<Mounter> kernel, std::unique_ptr<Mounter> fuse)
      : kernel_(std::move(kernel)), fuse_(std::move(fuse)) {}
  std::string_view name() const override { return use_fuse_ ? "fuse" : "kernel"; }

  Result<void> Mount(const MountRequest& request, std::chrono::milliseconds deadline) override {
    if (!use_fuse_) {
      // mount(2) of a type that is a module loads it.
      Result<void> mounted = kernel_->Mount(request, deadline);
      if (mounted.code() != Code::kNotSupported) return mounted;
      use_fuse_ = true;
      spdlog::info("mount: this kernel has no NFS client; mounting by FUSE");
    }
    return fuse_->Mount(request, deadline);
  }

 private:
  std::unique_ptr<Mounter> kernel_;
  std::unique_ptr<Mounter> fuse_;
  std::atomic<bool> use_fuse_{false};
};

}  // namespace

bool IsTarnMount(const MountEntry& entry) {
  return entry.type == "fuse.tarn" || entry.type == "nfs4" || entry.type == "nfs";
}

Result<std::string> MountedServer(const MountEntry& entry) {
  size_t colon = entry.source.find(":/");
  if (!IsTarnMount(entry) || colon == std::string::npos) {
    return Error(Code::kNotFound, "'" + entry.source + "' is no mount of an NFS server");
  }
  TRY(HostPort at, SplitHostPort(entry.source.substr(0, colon)));
  // The kernel's source has no port, and its name may be any.
  for (const auto& option : SplitOptions(entry.super_options)) {
    if (option.starts_with("addr=")) at.host = option.substr(5);
    if (option.starts_with("port=")) at.port = std::atoi(option.c_str() + 5);
  }
  return JoinHostPort(at);
}

bool IsMountOf(const MountEntry& entry, const std::string& server, const std::string& export_path) {
  if (!IsTarnMount(entry)) return false;
  size_t colon = entry.source.find(":/");
  if (colon == std::string::npos || entry.source.substr(colon + 1) != export_path) return false;
  if (export_path.starts_with("/fsap-")) return true;
  auto mounted = SplitHostPort(entry.source.substr(0, colon));
  auto wanted = SplitHostPort(server);
  return mounted.ok() && wanted.ok() && mounted->host == wanted->host;
}

Result<std::unique_ptr<Mounter>> NewMounter(HelperRunner& runner, const MounterOptions& options) {
  if (options.mounter == "kernel") {
    return std::unique_ptr<Mounter>(std::make_unique<KernelMounter>(runner));
  }
  auto fuse = std::make_unique<FuseMounter>(runner, options);
  if (options.mounter == "fuse") return std::unique_ptr<Mounter>(std::move(fuse));
  if (options.mounter == "auto") {
    return std::unique_ptr<Mounter>(
        std::make_unique<AutoMounter>(std::make_unique<KernelMounter>(runner), std::move(fuse)));
  }
  return Error(Code::kInvalid, "mounter '" + options.mounter + "' must be auto, kernel or fuse");
}

}  // namespace tarn::csi
