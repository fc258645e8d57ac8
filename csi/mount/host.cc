#include "csi/mount/host.h"

#include <sstream>

#include "common/log.h"

namespace tarn::csi {
namespace {

class HelperHost : public Host {
 public:
  HelperHost(HelperRunner& runner, HostDeadlines deadlines)
      : runner_(runner), deadlines_(deadlines) {}

  Result<std::vector<MountEntry>> Mounts() override { return ReadMountInfo(); }

  Result<void> Check(const std::string& path) override { return Quick({"check", path}); }

  Result<void> Bind(const std::string& source, const std::string& target, bool read_only) override {
    return Quick({"bind", source, target, read_only ? "ro" : "rw"});
  }

  Result<void> Unmount(const std::string& target, bool remove_directory) override {
    std::vector<std::string> arguments = {"umount", target};
    if (remove_directory) arguments.push_back("rmdir");
    auto polite = runner_.Run(arguments, deadlines_.unmount);
    if (polite.ok()) return Ok();
    if (polite.code() != Code::kDeadlineExceeded) return std::move(polite).error();
    spdlog::warn("unmount of {}: {}; detaching it", target, polite.error().message());
    arguments[0] = "detach";
    return Quick(arguments);
  }

  Result<Usage> StatFs(const std::string& path) override {
    TRY(std::string text, runner_.Run({"statfs", path}, deadlines_.quick));
    std::istringstream numbers(text);
    uint64_t block = 0, blocks = 0, available = 0, files = 0, files_free = 0;
    if (!(numbers >> block >> blocks >> available >> files >> files_free)) {
      return Error(Code::kInternal, "statfs of " + path + " gave '" + text + "'");
    }
    Usage usage;
    usage.bytes_total = block * blocks;
    usage.bytes_available = block * std::min(available, blocks);
    usage.bytes_used = usage.bytes_total - usage.bytes_available;
    usage.files_total = files;
    usage.files_free = std::min(files_free, files);
    usage.files_used = usage.files_total - usage.files_free;
    return usage;
  }

 private:
  Result<void> Quick(const std::vector<std::string>& arguments) {
    TRY(runner_.Run(arguments, deadlines_.quick));
    return Ok();
  }

  HelperRunner& runner_;
  const HostDeadlines deadlines_;
};

}  // namespace

std::unique_ptr<Host> NewHost(HelperRunner& runner, HostDeadlines deadlines) {
  return std::make_unique<HelperHost>(runner, deadlines);
}

}  // namespace tarn::csi
