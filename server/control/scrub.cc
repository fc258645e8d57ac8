// Scrub: the operations of the API, and the one that comes by itself.
#include <spdlog/spdlog.h>

#include "server/control/errors.h"
#include "server/control/manager.h"

namespace tarn::control {
namespace {

// That it is locked, or was locked meanwhile, is a line of the report, and ends no scrub of others.
Result<vfs::ScrubCounts> ScrubUnlessLocked(vfs::FileSystem& engine, const vfs::ScrubPace& pace,
                                           const std::function<void(std::string_view)>& report) {
  auto counts = engine.Scrub(pace, report);
  if (counts.code() != Code::kUnavailable && counts.code() != Code::kDenied) return counts;
  report("not scrubbed to its end: " + counts.error().message());
  return vfs::ScrubCounts{};
}

}  // namespace

Result<std::vector<Scrubs::Subject>> Manager::ScrubSubjects(const std::string& id) {
  std::vector<Scrubs::Subject> subjects;
  auto add = [&](const FileSystemPtr& fs) {
    vfs::FileSystem* engine = fs->engine;
    if (engine == nullptr) return;  // fsck tells it
    auto space = engine->GetSpace(vfs::kRootRealm);
    subjects.push_back(
        {fs->id(), space ? space->usage.bytes : 0, [engine](const auto& pace, const auto& report) {
           return ScrubUnlessLocked(*engine, pace, report);
         }});
  };
  std::lock_guard lock(mutex_);
  if (!id.empty()) {
    TRY(FileSystemPtr fs, FindFileSystem(id));
    TRY(CheckUnlocked(*fs));
    add(fs);
    return subjects;
  }
  for (const auto& [fs_id, fs] : file_systems_) add(fs);
  subjects.push_back({"database", 0, [this](const auto& pace, const auto& report) {
                        return engine_.ScrubTables(pace, report);
                      }});
  return subjects;
}

Result<v1::ScrubReport> Manager::StartScrub(const v1::StartScrubRequest& request) {
  uint64_t rate = request.bytes_per_second();
  if (rate == 0) rate = options_.scrub_bytes_per_second;
  if (rate < kScrubBytesPerSecondMin) {
    return BadRequest("bytes_per_second " + std::to_string(rate) + ": use at least " +
                      std::to_string(kScrubBytesPerSecondMin));
  }
  TRY(auto subjects, ScrubSubjects(request.file_system_id()));
  TRY(scrubs_.Start(request.file_system_id(), std::move(subjects), rate));
  return scrubs_.Report();
}

Result<v1::ScrubReport> Manager::DescribeScrub(const v1::DescribeScrubRequest&) {
  return scrubs_.Report();
}

Result<v1::ScrubReport> Manager::StopScrub(const v1::StopScrubRequest&) {
  scrubs_.Stop();
  return scrubs_.Report();
}

// Of the housekeeper. Mutex not held.
void Manager::ScrubWhenDue() {
  if (options_.scrub_every.count() == 0) return;
  v1::ScrubReport report = scrubs_.Report();
  if (report.state() == "running") return;
  if (report.state() == "done" && report.file_system_id().empty() &&
      report.end_time() > scrubbed_) {
    scrubbed_ = report.end_time();
    if (auto put = store_.PutScrubbed(scrubbed_); !put.ok()) {
      spdlog::warn("the time of the scrub is not written down: {}", put.error().ToString());
    }
  }
  // One that was stopped or failed is not begun again at once.
  int64_t last = std::max(scrubbed_, report.start_time());
  if (NowSeconds() - last < options_.scrub_every.count()) return;
  if (auto started = StartScrub({}); !started.ok()) {
    spdlog::warn("the scrub does not begin: {}", started.error().ToString());
  }
}

}  // namespace tarn::control
