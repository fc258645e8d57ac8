// Fsck: the engine's own check of every invariant, and that resources and files agree.
#include "server/control/manager.h"

namespace tarn::control {
namespace {

void Report(v1::FsckReport& report, const std::string& problem) {
  report.set_problem_count(report.problem_count() + 1);
  if (static_cast<size_t>(report.problems_size()) < kFsckProblemsMax) report.add_problems(problem);
}

}  // namespace

Result<v1::FsckReport> Manager::Fsck(const v1::FsckRequest& request) {
  struct Subject {
    std::string id;
    vfs::FileSystem* engine;
    std::vector<records::AccessPoint> access_points;
  };
  std::vector<Subject> subjects;
  v1::FsckReport report;
  auto add = [&](const FileSystemPtr& fs) {
    if (fs->engine == nullptr) {
      Report(report,
             fs->id() + ": not open, its state is " + fs->record.description().life_cycle_state());
      return;
    }
    if (auto unlocked = CheckUnlocked(*fs); !unlocked.ok()) {
      Report(report, fs->id() + ": not checked, " + unlocked.error().message());
      return;
    }
    Subject subject{fs->id(), fs->engine, {}};
    for (const auto& [ap_id, ap] : fs->access_points) subject.access_points.push_back(ap->record);
    subjects.push_back(std::move(subject));
  };
  {
    std::lock_guard lock(mutex_);
    if (request.file_system_id().empty()) {
      for (const auto& [id, fs] : file_systems_) add(fs);
    } else {
      TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
      add(fs);
    }
  }
  for (const Subject& subject : subjects) {
    const std::string& id = subject.id;
    auto checked = subject.engine->Check(
        [&](std::string_view problem) { Report(report, id + ": " + std::string(problem)); });
    if (checked.code() == Code::kStale) continue;  // deleted meanwhile
    if (!checked.ok()) {
      Report(report, id + ": not checked to its end: " + checked.error().message());
      continue;
    }
    for (const auto& ap : subject.access_points) {
      if (ap.realm() == 0 || ap.description().life_cycle_state() != "available") continue;
      auto root = subject.engine->RealmRoot(ap.realm());
      bool same =
          root.ok() && root->inode == ap.root_inode() && root->generation == ap.root_generation();
      if (same) continue;
      // An access point that was deleted since the list was made is no problem.
      std::lock_guard lock(mutex_);
      if (!access_points_.contains(ap.description().access_point_id())) continue;
      Report(report, id + ": the root directory '" + ap.description().root_directory().path() +
                         "' of access point " + ap.description().access_point_id() + " is lost");
    }
  }
  return report;
}

}  // namespace tarn::control
