#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/audit/journal.h"
#include "server/audit/log.h"

namespace tarn::audit {
namespace {

using nlohmann::json;
using testing::ElementsAre;

class TempDir {
 public:
  TempDir() { mkdtemp(path_.data()); }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_ = testing::TempDir() + "tarn-audit-XXXXXX";
};

// The process's log, as lines.
class AuditTest : public testing::Test {
 protected:
  AuditTest() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("audit test", sink);
    logger->set_pattern("%v");
    spdlog::set_default_logger(logger);
  }
  ~AuditTest() override {
    spdlog::drop("audit");
    spdlog::set_default_logger(before_);
  }

  std::vector<json> Lines() const { return Parse(text_.str()); }
  static std::vector<json> Parse(const std::string& text) {
    std::vector<json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }

  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
  ManualClock clock_;
  Journal journal_{clock_};
};

Access Denied(const std::string& pod) {
  return {.granted = false,
          .layer = Layer::kPolicy,
          .reason = "statement 2 'NoRoot'",
          .file_system_id = "fs-1",
          .access_point_id = "fsap-1",
          .service_account = "b/reader",
          .pod = pod,
          .address = "10.0.0.7",
          .transport = "TLSv1.3"};
}

TEST_F(AuditTest, ADecisionIsOneLineThatSaysWhoWhatFromWhereAndWhichLayer) {
  journal_.Add(Denied("b/pod"));
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0], json::parse(R"({"audit": "Mount", "result": "denied", "layer": "policy",
              "message": "statement 2 'NoRoot'", "who": "b/reader", "pod": "b/pod",
              "peer": "10.0.0.7", "transport": "TLSv1.3", "fileSystem": "fs-1",
              "accessPoint": "fsap-1"})"));
}

TEST_F(AuditTest, HostileTextStaysInItsLine) {
  Access access = Denied("b/pod");
  access.reason = "x\n{\"audit\":\"Mount\",\"result\":\"ok\"}\xff";
  journal_.Add(access);
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0]["result"], "denied");
}

TEST_F(AuditTest, RecentOnesCanBeAskedFor) {
  journal_.Add(Denied("b/one"));
  journal_.Add(Denied("b/two"));
  Access granted = Denied("b/one");
  granted.granted = true;
  journal_.Add(granted);
  const uint64_t before = journal_.Recent({}).front().sequence - 1;
  auto sequences = [&](const Journal::Query& query) {
    std::vector<uint64_t> found;
    for (const auto& entry : journal_.Recent(query)) found.push_back(entry.sequence - before);
    return found;
  };
  EXPECT_THAT(sequences({}), ElementsAre(1, 2, 3));
  EXPECT_THAT(sequences({.pod = "b/one"}), ElementsAre(1, 3));
  EXPECT_THAT(sequences({.pod = "b/one", .denied_only = true}), ElementsAre(1));
  EXPECT_THAT(sequences({.after = before + 1, .max = 1}), ElementsAre(3));
  EXPECT_THAT(sequences({.file_system_id = "fs-2"}), ElementsAre());
  EXPECT_EQ(journal_.last_sequence(), before + 3);
}

// The next process begins to count above this one, so who asks on from here misses nothing.
TEST_F(AuditTest, ARestartLosesNothingToWhoAsksOn) {
  ManualClock clock;
  Journal first(clock);
  EXPECT_EQ(first.last_sequence(), 0U);
  for (int i = 0; i < 5; ++i) first.Add(Denied("b/one"));
  const uint64_t known = first.last_sequence();
  clock.Advance(std::chrono::seconds{1});
  Journal second(clock);
  for (int i = 0; i < 10; ++i) second.Add(Denied("b/two"));
  EXPECT_EQ(second.Recent({.after = known}).size(), 10U);
}

TEST_F(AuditTest, AFloodFillsNeitherMemoryNorLog) {
  for (size_t i = 0; i < Journal::kRecentMax + 10; ++i) journal_.Add(Denied("b/pod"));
  EXPECT_EQ(journal_.Recent({.max = 1'000'000}).size(), Journal::kRecentMax);
  EXPECT_LT(Lines().size(), Journal::kRecentMax / 2);
}

TEST_F(AuditTest, ManyGrantsHideNoDenial) {
  journal_.Add(Denied("b/pod"));
  Access granted = Denied("a/pod");
  granted.granted = true;
  for (size_t i = 0; i < 2 * Journal::kRecentMax; ++i) journal_.Add(granted);
  Access later = Denied("b/later");
  journal_.Add(later);
  EXPECT_EQ(journal_.Recent({.denied_only = true}).size(), 2U);
  EXPECT_EQ(Lines().back()["pod"], "b/later");
}

TEST_F(AuditTest, AFileOfItsOwnIsOnlyForItsUserAndHasTheTime) {
  TempDir dir;
  ASSERT_TRUE(OpenFile(dir / "audit.log").ok());
  journal_.Add(Denied("b/pod"));
  EXPECT_TRUE(Lines().empty());
  std::ifstream in(dir / "audit.log");
  std::stringstream text;
  text << in.rdbuf();
  auto lines = Parse(text.str());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0]["time"].get<std::string>(), testing::MatchesRegex("20.*T.*Z"));
  EXPECT_EQ(lines[0]["layer"], "policy");
  struct stat status {};
  ASSERT_EQ(stat((dir / "audit.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(AuditTest, TheFileIsRotatedAndKeepsItsMode) {
  TempDir dir;
  ASSERT_TRUE(OpenFile(dir / "audit.log").ok());
  const nlohmann::ordered_json line{{"filler", std::string(1 << 20, 'x')}};
  for (size_t i = 0; i < kFileBytes / (1 << 20) + 1; ++i) Write(spdlog::level::info, line);
  for (const char* name : {"audit.log", "audit.1.log"}) {
    struct stat status {};
    ASSERT_EQ(stat((dir / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    EXPECT_LE(static_cast<size_t>(status.st_size), kFileBytes + (1 << 20) + 100);
  }
}

TEST_F(AuditTest, AFileThatCannotBeIsAnError) {
  EXPECT_EQ(OpenFile("audit.log").code(), Code::kInvalid);
  EXPECT_EQ(OpenFile("/nowhere/audit.log").code(), Code::kIo);
}

}  // namespace
}  // namespace tarn::audit
