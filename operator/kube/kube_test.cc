#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "operator/kube/conditions.h"
#include "operator/kube/controller.h"
#include "operator/kube/cpprest_transport.h"
#include "operator/kube/informer.h"
#include "operator/kube/leader.h"
#include "operator/kube/line_splitter.h"
#include "operator/kube/testing/fake_cluster.h"
#include "operator/kube/text.h"
#include "operator/kube/work_queue.h"

namespace tarn::kube {
namespace {

using namespace std::chrono_literals;

const ResourceType kMaps{"", "v1", "configmaps", "ConfigMap", true};
const std::string kPath = "/api/v1/namespaces/a/configmaps";

Json Map(const std::string& name, const std::string& value = "1") {
  return {{"metadata", {{"namespace", "a"}, {"name", name}}}, {"data", {{"k", value}}}};
}

bool Eventually(const std::function<bool()>& check) {
  for (int i = 0; i < 500; ++i) {
    if (check()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

Informer::Options Quick() {
  return {.list = {}, .trim = {}, .first_retry = 5ms, .last_retry = 20ms};
}

// The whole informer behaviour, over the in-memory transport and over a socket with the real one.
class InformerTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      server_ = std::make_unique<FakeServer>(cluster_);
      ClusterConfig config;
      config.server = "http://127.0.0.1:" + std::to_string(server_->port());
      PrepareProcess(config);
      auto made = NewCpprestTransport(config);
      ASSERT_TRUE(made.ok());
      http_ = std::move(*made);
    }
    client_ = std::make_unique<Client>(GetParam() ? *http_ : cluster_);
    cluster_.Put(kPath, Map("one"));
    informer_ = std::make_unique<Informer>(*client_, kMaps, Quick());
    informer_->OnChange([this](const Json& object, bool deleted) {
      std::lock_guard lock(mu_);
      seen_.push_back((deleted ? "-" : "+") + NameOf(object).name);
    });
    informer_->Start();
    ASSERT_TRUE(informer_->WaitSynced(5s));
  }
  void TearDown() override {
    if (informer_) informer_->Stop();
    server_.reset();
  }
  bool Has(const std::string& name) { return informer_->Find({"a", name}).has_value(); }

  FakeCluster cluster_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<HttpTransport> http_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Informer> informer_;
  std::mutex mu_;
  std::vector<std::string> seen_;
};

TEST_P(InformerTest, FollowsAddsChangesAndDeletions) {
  EXPECT_TRUE(Has("one"));
  cluster_.Put(kPath, Map("two"));
  EXPECT_TRUE(Eventually([&] { return Has("two"); }));
  cluster_.Remove(kPath, "one");
  EXPECT_TRUE(Eventually([&] { return !Has("one"); }));
  std::lock_guard lock(mu_);
  EXPECT_THAT(seen_, testing::ElementsAre("+one", "+two", "-one"));
}

TEST_P(InformerTest, ResumesACutStreamWithoutListing) {
  cluster_.Put(kPath, Map("two"));
  ASSERT_TRUE(Eventually([&] { return Has("two"); }));
  cluster_.CutWatches(true);
  cluster_.Put(kPath, Map("three"));
  EXPECT_TRUE(Eventually([&] { return Has("three"); }));
  EXPECT_EQ(informer_->lists(), 1);
}

TEST_P(InformerTest, ListsAnewAfterGoneAndTellsMissedDeletions) {
  cluster_.Put(kPath, Map("two"));
  ASSERT_TRUE(Eventually([&] { return Has("two"); }));
  cluster_.InjectWatchLine(
      "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n");
  cluster_.Remove(kPath, "one");
  EXPECT_TRUE(Eventually([&] { return !Has("one") && informer_->lists() == 2; }));
}

TEST_P(InformerTest, ABadLineBreaksTheWatchNotTheInformer) {
  cluster_.InjectWatchLine("{\"type\":\"ADDED\",\"object\n");
  cluster_.Put(kPath, Map("two"));
  EXPECT_TRUE(Eventually([&] { return Has("two"); }));
}

TEST_P(InformerTest, SurvivesServerErrorsAndThrottling) {
  cluster_.FailNext(500, "InternalError", 2);
  cluster_.FailNext(429, "TooManyRequests", 2);
  cluster_.CutWatches(true);
  cluster_.Put(kPath, Map("two"));
  EXPECT_TRUE(Eventually([&] { return Has("two"); }));
}

INSTANTIATE_TEST_SUITE_P(Transports, InformerTest, testing::Bool());

TEST(Client, MapsStatusesToCodes) {
  FakeCluster cluster;
  Client client(cluster);
  EXPECT_EQ(client.Get(kMaps, {"a", "none"}).code(), Code::kNotFound);
  ASSERT_TRUE(client.Create(kMaps, Map("one")).ok());
  EXPECT_EQ(client.Create(kMaps, Map("one")).code(), Code::kAlreadyExists);
  Json stale = Map("one", "2");
  stale["metadata"]["resourceVersion"] = "1";
  EXPECT_EQ(client.Update(kMaps, stale).code(), Code::kAborted);
  cluster.FailNext(429);
  EXPECT_EQ(client.Get(kMaps, {"a", "one"}).code(), Code::kUnavailable);
  cluster.FailNext(422, "Invalid");
  EXPECT_EQ(client.Apply(kMaps, Map("one")).code(), Code::kInvalid);
  EXPECT_TRUE(client.Delete(kMaps, {"a", "one"}).ok());
  EXPECT_TRUE(client.Delete(kMaps, {"a", "one"}).ok());
}

TEST(LineSplitter, JoinsPiecesAndRefusesLongLines) {
  std::vector<std::string> lines;
  LineSplitter splitter([&](std::string_view line) { lines.emplace_back(line); }, 8);
  EXPECT_TRUE(splitter.Put("ab"));
  EXPECT_TRUE(splitter.Put("c\n\nde\nf"));
  EXPECT_THAT(lines, testing::ElementsAre("abc", "de"));
  EXPECT_EQ(splitter.rest(), "f");
  EXPECT_FALSE(splitter.Put("123456789"));
}

TEST(WorkQueue, OneKeyIsNeverTakenTwiceAtOnce) {
  WorkQueue queue;
  std::stop_source stop;
  queue.Add("a");
  queue.Add("a");
  EXPECT_EQ(queue.Take(stop.get_token()), "a");
  queue.Add("a");
  queue.Add("b");
  EXPECT_EQ(queue.Take(stop.get_token()), "b");
  queue.Done("a");
  EXPECT_EQ(queue.Take(stop.get_token()), "a");
  stop.request_stop();
  EXPECT_EQ(queue.Take(stop.get_token()), std::nullopt);
}

TEST(WorkQueue, FailuresWaitLongerEachTimeUntilForgotten) {
  WorkQueue queue;
  EXPECT_EQ(queue.AddRateLimited("a"), 5ms);
  EXPECT_EQ(queue.AddRateLimited("a"), 10ms);
  queue.Forget("a");
  EXPECT_EQ(queue.AddRateLimited("a"), 5ms);
  std::stop_source stop;
  EXPECT_EQ(queue.Take(stop.get_token()), "a");
}

TEST(Controller, RetriesFailuresAndOutlivesExceptions) {
  std::atomic<int> runs{0};
  Controller controller("test", [&](const ObjectName& name) -> Result<Outcome> {
    EXPECT_EQ(name.Key(), "a/b");
    if (++runs == 1) return Error(Code::kUnavailable, "not yet");
    if (runs == 2) throw std::runtime_error("bad shape");
    return Outcome{};
  });
  controller.Start();
  controller.Add({"a", "b"});
  EXPECT_TRUE(Eventually([&] { return runs == 3; }));
  controller.Stop();
  EXPECT_EQ(controller.failures(), 2u);
}

LeaderElection::Options Fast(const std::string& who) {
  return {.lease = {"a", "lead"},
          .identity = who,
          .lease_duration = 1000ms,
          .renew_deadline = 150ms,
          .retry_period = 30ms};
}

TEST(LeaderElection, SecondWaitsUntilTheFirstReleases) {
  FakeCluster cluster;
  Client client(cluster);
  LeaderElection first(client, Fast("first")), second(client, Fast("second"));
  std::stop_source stop;
  ASSERT_TRUE(first.Acquire(stop.get_token()));
  std::atomic<bool> second_leads{false};
  std::jthread other([&](std::stop_token s) { second_leads = second.Acquire(s); });
  std::this_thread::sleep_for(100ms);
  EXPECT_FALSE(second_leads);
  stop.request_stop();
  first.Hold(stop.get_token(), [](const std::string&) { FAIL(); });
  EXPECT_TRUE(Eventually([&] { return second_leads.load(); }));
}

TEST(LeaderElection, LosingTheApiServerEndsLeading) {
  FakeCluster cluster;
  Client client(cluster);
  LeaderElection leader(client, Fast("one"));
  std::stop_source stop;
  ASSERT_TRUE(leader.Acquire(stop.get_token()));
  cluster.FailNext(0, "", 1000);
  bool lost = false;
  leader.Hold(stop.get_token(), [&](const std::string&) { lost = true; });
  EXPECT_TRUE(lost);
}

TEST(Conditions, TransitionTimeMovesOnlyWithTheStatus) {
  Json c;
  SetCondition(c, "Ready", false, "Waiting", "", 1, 1000);
  SetCondition(c, "Ready", false, "StillWaiting", "", 2, 2000);
  EXPECT_EQ(c[0]["lastTransitionTime"], Rfc3339(1000));
  EXPECT_EQ(c[0]["observedGeneration"], 2);
  SetCondition(c, "Ready", true, "Up", "", 2, 3000);
  EXPECT_EQ(c[0]["lastTransitionTime"], Rfc3339(3000));
  RemoveCondition(c, "Ready");
  EXPECT_TRUE(c.empty());
}

TEST(Events, ARepetitionIsNotAnotherEvent) {
  FakeCluster cluster;
  Client client(cluster);
  EventRecorder events(client, "tarn-operator");
  Json about = Map("one");
  for (int i = 0; i < 5; ++i) events.Warning(about, "DeletionBlocked", "in use");
  events.Warning(about, "Other", "else");
  EXPECT_EQ(cluster.Count("/api/v1/namespaces/a/events"), 2u);
}

TEST(Text, Base64BothWays) {
  for (std::string s : {"", "a", "ab", "abc", "abcd", std::string("\0\xff\x10", 3).c_str()}) {
    EXPECT_EQ(*DecodeBase64(EncodeBase64(s)), s);
  }
  EXPECT_FALSE(DecodeBase64("!").ok());
}

}  // namespace
}  // namespace tarn::kube
