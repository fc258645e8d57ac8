#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tarn::op
