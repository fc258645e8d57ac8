#include "server/control/scrubs.h"

#include <spdlog/spdlog.h>

#include "server/control/errors.h"
#include "server/control/limits.h"

namespace tarn::control {
namespace {

constexpr const char* kRunning = "running";

int64_t Seconds(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::seconds>(clock.Now()).count();
}

}  // namespace

Result<void> Scrubs::Start(const std::string& id, std::vector<Subject> subjects,
                           uint64_t bytes_per_second) {
  std::lock_guard thread(thread_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (report_.state() == kRunning) {
      return Conflict(
          "A scrub of " +
              (report_.file_system_id().empty() ? "all file systems" : report_.file_system_id()) +
              " is running: wait for its end or stop it",
          report_.file_system_id());
    }
    report_ = {};
    report_.set_state(kRunning);
    report_.set_file_system_id(id);
    report_.set_bytes_per_second(bytes_per_second);
    report_.set_start_time(Seconds(clock_));
    for (const Subject& subject : subjects) {
      report_.set_bytes_expected(report_.bytes_expected() + subject.bytes);
    }
    begun_ = clock_.Monotonic();
    stop_ = false;
  }
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this, all = std::move(subjects)] { Run(all); });
  return Ok();
}

v1::ScrubReport Scrubs::Report() {
  std::lock_guard lock(mutex_);
  v1::ScrubReport report = report_;
  if (report.state().empty()) report.set_state("none");
  return report;
}

void Scrubs::Stop() {
  std::lock_guard thread(thread_mutex_);
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Scrubs::Pace(uint64_t bytes) {
  std::unique_lock lock(mutex_);
  report_.set_bytes(report_.bytes() + bytes);
  auto seconds =
      static_cast<double>(report_.bytes()) / static_cast<double>(report_.bytes_per_second());
  auto ahead = std::chrono::duration<double>(seconds) - (clock_.Monotonic() - begun_);
  if (ahead.count() > 0) wake_.wait_for(lock, ahead, [this] { return stop_; });
  return !stop_;
}

void Scrubs::Problem(const std::string& line) {
  std::lock_guard lock(mutex_);
  report_.set_problem_count(report_.problem_count() + 1);
  if (static_cast<size_t>(report_.problems_size()) < kFsckProblemsMax) report_.add_problems(line);
}

void Scrubs::Run(const std::vector<Subject>& subjects) {
  std::string state = "done";
  for (const Subject& subject : subjects) {
    auto counts =
        subject.run([this](uint64_t bytes) { return Pace(bytes); },
                    [&](std::string_view line) { Problem(subject.id + ": " + std::string(line)); });
    if (counts.code() == Code::kStale) continue;
    std::lock_guard lock(mutex_);
    if (!counts.ok()) {
      state = counts.code() == Code::kAborted ? "stopped" : "failed";
      if (state == "failed") report_.set_error(subject.id + ": " + counts.error().message());
      break;
    }
    report_.set_files(report_.files() + counts->files);
    report_.set_checksums_added(report_.checksums_added() + counts->sums_added);
  }
  std::lock_guard lock(mutex_);
  report_.set_state(state);
  report_.set_end_time(Seconds(clock_));
  auto level =
      report_.problem_count() > 0 || state == "failed" ? spdlog::level::err : spdlog::level::info;
  spdlog::log(level, "scrub {}: {} files, {} bytes, {} problems{}{}", state, report_.files(),
              report_.bytes(), report_.problem_count(), report_.error().empty() ? "" : ": ",
              report_.error());
}

}  // namespace tarn::control
