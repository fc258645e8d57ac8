#include <gtest/gtest.h>

#include <algorithm>

#include "operator/kube/text.h"
#include "operator/names.h"
#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

int64_t Now() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

// A reporter alone, which looks when it is told to, of a FileSystem "shared" that is ready.
class Alone {
 public:
  explicit Alone(Rig& rig) : client_(rig.cluster), control_(rig.control) {
    rig.Start();
    rig.MakeShared();
    rig.Kill();
    file_systems_.Start();
    file_systems_.WaitSynced(std::chrono::seconds(10));
  }
  ~Alone() { file_systems_.Stop(); }

  bool Look() { return reporter_.Reconcile({"default", "shared"}).ok(); }
  size_t remembered() { return reporter_.remembered(); }

  int64_t now = Now();

 private:
  kube::Client client_;
  ControlApi& control_;
  kube::EventRecorder events_{client_, "test"};
  kube::Informer file_systems_{client_, kFileSystem, {}};
  kube::Informer none_{client_, kFileSystem, {}};
  kube::Recent recent_{client_, [this] { return now; }};
  Cilium cilium_{client_, [this] { return now; }};
  Context context_{Settings{.ns = {}, .server_image = {}, .driver_name = {}, .token_audience = {}},
                   client_,
                   events_,
                   control_,
                   file_systems_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   none_,
                   [this] { return now; },
                   recent_,
                   cilium_};
  DenialReporter reporter_{context_};
};

class DenialsTest : public testing::Test {
 protected:
  // The messages of the events AccessDenied about objects of that kind.
  std::vector<std::string> EventsOf(const std::string& kind) {
    std::vector<std::string> messages;
    kube::Client client(rig_.cluster);
    auto events = client.List({"", "v1", "events", "Event"}, {}, false);
    if (!events.ok()) return messages;
    for (const Json& event : kube::Array(*events, "items")) {
      if (Str(event, "reason") != "AccessDenied") continue;
      if (Str(Object(event, "involvedObject"), "kind") == kind) {
        messages.push_back(Str(event, "message"));
      }
    }
    return messages;
  }
  static Denial Of(const std::string& pod, int64_t seconds = Now()) {
    return {seconds, "policy", "statement 1 'OnlyA'", "fsap-1", "default/web", pod, "10.0.0.7"};
  }

  Rig rig_;
};

TEST_F(DenialsTest, ThePodsOwnEventsSayWhy) {
  rig_.Create(kPod, {{"metadata", {{"name", "web-0"}}}});
  rig_.control.SetDenials({Of("default/web-0")});
  rig_.Start();
  rig_.MakeShared();
  ASSERT_TRUE(Eventually([&] { return !EventsOf("Pod").empty(); }));
  const std::string message = EventsOf("Pod").front();
  EXPECT_NE(message.find("fsap-1 is denied by its policy layer: statement 1 'OnlyA'"),
            std::string::npos)
      << message;
}

TEST_F(DenialsTest, WithoutAPodTheFileSystemsEventsSayWho) {
  rig_.control.SetDenials({Of("default/gone")});
  rig_.Start();
  rig_.MakeShared();
  ASSERT_TRUE(Eventually([&] { return !EventsOf("FileSystem").empty(); }));
  EXPECT_NE(EventsOf("FileSystem").front().find("default/web at 10.0.0.7 was denied fsap-1"),
            std::string::npos);
}

TEST_F(DenialsTest, OldOnesAreNotToldAgainAndNewOnesAre) {
  Denial old = Of("", Now() - 3600);
  old.reason = "long ago";
  rig_.control.SetDenials({old});
  rig_.Start();
  rig_.MakeShared();
  Denial later = Of("");
  later.reason = "just now";
  rig_.control.SetDenials({old, later});
  ASSERT_TRUE(Eventually([&] { return !EventsOf("FileSystem").empty(); }));
  ASSERT_EQ(EventsOf("FileSystem").size(), 1U);
  EXPECT_NE(EventsOf("FileSystem").front().find("just now"), std::string::npos);
}

TEST_F(DenialsTest, AnonymousClientsGetNeitherTheirWordsNorManyEvents) {
  Alone alone(rig_);
  std::vector<Denial> denials;
  for (int i = 0; i < 200; ++i) {
    std::string n = std::to_string(i);
    denials.push_back({Now(), i % 2 ? "identity" : "network", "token of evil-" + n, "fsap-" + n, "",
                       "", "2001:db8::" + n});
  }
  rig_.control.SetDenials(denials);
  EXPECT_TRUE(alone.Look());
  EXPECT_EQ(EventsOf("FileSystem").size(), 2U);
  for (const std::string& message : EventsOf("FileSystem")) {
    EXPECT_EQ(message.find("an anonymous client was denied fs-"), 0U) << message;
    EXPECT_EQ(message.find("evil"), std::string::npos);
    EXPECT_EQ(message.find("2001:db8"), std::string::npos);
    EXPECT_EQ(message.find("fsap-"), std::string::npos);
  }
}

TEST_F(DenialsTest, AFloodIsAFewEventsAndANumberAndKnownClientsComeFirst) {
  Alone alone(rig_);
  std::vector<Denial> denials;
  auto flood = [&] {
    for (int i = 0; i < 20; ++i) {
      std::string reason = "statement " + std::to_string(denials.size());
      denials.push_back({Now(), "policy", reason, "", "", "", "10.0.0.7"});
    }
    denials.push_back(Of("", Now()));
    denials.back().reason = "known " + std::to_string(denials.size());
    rig_.control.SetDenials(denials);
    size_t before = EventsOf("FileSystem").size();
    EXPECT_TRUE(alone.Look());
    return EventsOf("FileSystem").size() - before;
  };
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(flood(), DenialReporter::kMaxEventsPerPoll);
    auto known = [](const std::string& m) { return m.find(": known ") != std::string::npos; };
    auto events = EventsOf("FileSystem");
    EXPECT_EQ(std::count_if(events.begin(), events.end(), known), i + 1);
  }
  EXPECT_EQ(flood(), 0U) << "30 in this minute";
  alone.now += 60;
  EXPECT_EQ(flood(), DenialReporter::kMaxEventsPerPoll + 1);
  auto events = EventsOf("FileSystem");
  // 7 times 21, without the 30.
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const std::string& m) {
    return m.starts_with("117 more were refused");
  }));
}

TEST_F(DenialsTest, AFileSystemThatIsGoneIsForgotten) {
  Alone alone(rig_);
  EXPECT_TRUE(alone.Look());
  EXPECT_EQ(alone.remembered(), 1U);
  rig_.Change(kFileSystem,
              {{"metadata",
                {{"name", "shared"}, {"namespace", "default"}, {"finalizers", Json::array()}}}});
  rig_.Delete(kFileSystem, "shared");
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(alone.Look());
    return alone.remembered() == 0;
  }));
}

}  // namespace
}  // namespace tarn::op
