// tarnctl fsck, tarnctl scrub.
#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

// Between two looks at a scrub; and between two lines that tell how far it is.
constexpr std::chrono::milliseconds kScrubPoll{200};
constexpr int kPollsPerLine = 50;

void PrintProblems(std::ostream& out, const google::protobuf::RepeatedPtrField<std::string>& lines,
                   uint64_t count) {
  for (const std::string& line : lines) out << line << "\n";
  if (count == 0) {
    out << "no problems\n";
  } else {
    out << count << " problems\n";
  }
}

Result<int> Fsck(Session& session, const std::string& id) {
  pb::FsckRequest request;
  request.set_file_system_id(id);
  TRY(auto report, session.Call(&Stub::Fsck, request, kFsckTimeoutSeconds));
  session.ShowOne(report, [&](std::ostream& out) {
    PrintProblems(out, report.problems(), report.problem_count());
  });
  return report.problem_count() == 0 ? 0 : 1;
}

struct ScrubFlags {
  std::string id, rate;
  bool background = false, status = false, stop = false;
};

std::string Progress(const pb::ScrubReport& report) {
  std::string text = Bytes(report.bytes());
  if (report.bytes_expected() > 0) text += " of about " + Bytes(report.bytes_expected());
  return text;
}

// 1 if something is damaged, or it could not be found out.
int ShowScrub(Session& session, const pb::ScrubReport& report) {
  session.ShowOne(report, [&](std::ostream& out) {
    std::string of = report.file_system_id().empty() ? "all" : report.file_system_id();
    if (report.state() == "none") {
      out << "no scrub since the server started\n";
      return;
    }
    PrintFacts(out, {{"Scrub of", of},
                     {"State", report.state()},
                     {"Started", Moment(report.start_time())},
                     {"Read", Progress(report)},
                     {"At most", Bytes(report.bytes_per_second()) + "/s"},
                     {"Files", std::to_string(report.files())},
                     {"Checksums added", std::to_string(report.checksums_added())}});
    if (!report.error().empty()) out << "failed: " << report.error() << "\n";
    PrintProblems(out, report.problems(), report.problem_count());
  });
  return report.problem_count() == 0 && report.state() != "failed" ? 0 : 1;
}

Result<int> Scrub(Session& session, const ScrubFlags& flags) {
  pb::ScrubReport report;
  if (flags.stop) {
    TRY(report, session.Call(&Stub::StopScrub, pb::StopScrubRequest()));
    return ShowScrub(session, report);
  }
  if (flags.status) {
    TRY(report, session.Call(&Stub::DescribeScrub, pb::DescribeScrubRequest()));
    return ShowScrub(session, report);
  }
  pb::StartScrubRequest request;
  request.set_file_system_id(flags.id);
  if (!flags.rate.empty()) {
    TRY(uint64_t rate, ParseBytes("--rate", flags.rate));
    if (rate == 0) return Error(Code::kInvalid, "--rate: write bytes a second, such as 64MiB");
    request.set_bytes_per_second(rate);
  }
  TRY(report, session.Call(&Stub::StartScrub, request));
  for (int poll = 1; !flags.background && report.state() == "running"; ++poll) {
    if (poll % kPollsPerLine == 0) session.err() << "scrub: " << Progress(report) << "\n";
    std::this_thread::sleep_for(kScrubPoll);
    TRY(report, session.Call(&Stub::DescribeScrub, pb::DescribeScrubRequest()));
  }
  int code = ShowScrub(session, report);
  return flags.background || report.state() == "done" ? code : 1;
}

}  // namespace

void AddFsckCommand(CLI::App& app, Action& chosen) {
  auto id = std::make_shared<std::string>();
  CLI::App* fsck = app.add_subcommand("fsck", "Check every invariant while serving");
  fsck->add_option("id", *id, "fs-...; all when not given");
  fsck->callback([id, &chosen] { chosen = [id](Session& s) { return Fsck(s, *id); }; });
}

void AddScrubCommand(CLI::App& app, Action& chosen) {
  auto flags = std::make_shared<ScrubFlags>();
  CLI::App* scrub =
      app.add_subcommand("scrub", "Compare all stored bytes with their checksums while serving");
  scrub->add_option("id", flags->id, "fs-...; all, and the database, when not given");
  scrub->add_option("--rate", flags->rate,
                    "Bytes a second at most, such as 64MiB [--scrub-rate of the server]");
  auto* background = scrub->add_flag("--background", flags->background, "Do not wait for its end");
  auto* status = scrub->add_flag("--status", flags->status, "Show the one that runs, or the last");
  auto* stop = scrub->add_flag("--stop", flags->stop, "Stop the one that runs");
  status->excludes(background);
  stop->excludes(background, status);
  scrub->callback([flags, &chosen] { chosen = [flags](Session& s) { return Scrub(s, *flags); }; });
}

}  // namespace tarn::cli
