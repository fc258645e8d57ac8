// The operator is killed after every single request of its life, and the next one ends where an
// undisturbed one would; and the API server fails in every way it can.
#include <gtest/gtest.h>

#include <thread>

#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using namespace std::chrono_literals;

// A life has fewer requests than this.
constexpr int kMaxRequests = 100;

void MakeAll(Rig& rig) {
  rig.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  for (const auto& [type, spec] :
       {std::pair<kube::ResourceType, Json>{kAccessPoint, {{"rootDirectory", {{"path", "/a"}}}}},
        std::pair<kube::ResourceType, Json>{kMountTarget, Json::object()},
        std::pair<kube::ResourceType, Json>{kLifecyclePolicy,
                                            {{"transitionToIA", "AFTER_7_DAYS"}}}}) {
    Json full = spec;
    full["fileSystemRef"] = {{"name", "shared"}};
    rig.Create(type, {{"metadata", {{"name", "x"}}}, {"spec", full}});
  }
}

bool AllReady(Rig& rig) {
  return rig.Condition(kFileSystem, "shared", "Ready") == "True" &&
         rig.Condition(kAccessPoint, "x", "Ready") == "True" &&
         rig.Condition(kMountTarget, "x", "Ready") == "True" &&
         rig.Condition(kLifecyclePolicy, "x", "Ready") == "True";
}

// What of it is still there; "": nothing.
std::string Left(Rig& rig) {
  std::string left;
  for (const auto& [type, name] :
       {std::pair{kFileSystem, "shared"}, std::pair{kAccessPoint, "x"},
        std::pair{kMountTarget, "x"}, std::pair{kLifecyclePolicy, "x"},
        std::pair{kStatefulSet, "shared"}, std::pair{kService, "shared"},
        std::pair{kService, "x-nfs"}, std::pair{kBudget, "shared"},
        std::pair{kSecret, "shared-control-tls"}, std::pair{kSecret, "shared-nfs-tls"},
        std::pair{kConfigMap, "shared-token-issuers"}}) {
    if (!rig.Gone(type, name)) left += type.kind + " " + name + " ";
  }
  return left;
}

bool AllGone(Rig& rig) {
  return Left(rig).empty();
}

// Serving as soon as the StatefulSet is there, as a cluster would do it.
void ServeWhenMade(Rig& rig) {
  if (rig.Gone(kStatefulSet, "shared")) return;
  if (kube::Int(Object(rig.Get(kStatefulSet, "shared"), "status"), "readyReplicas") == 1) return;
  rig.SetServing("shared");
}

TEST(Crash, CreatingGoesOnWhereItWasCutOff) {
  int last = 0;
  for (int requests = 0; requests < kMaxRequests; ++requests) {
    Rig rig;
    rig.Start(requests);
    MakeAll(rig);
    bool ready = false;
    ASSERT_TRUE(Eventually([&] {
      ServeWhenMade(rig);
      ready = AllReady(rig);
      return ready || rig.cut_off();
    }));
    rig.Kill();
    rig.Start();
    ASSERT_TRUE(Eventually([&] {
      ServeWhenMade(rig);
      return AllReady(rig);
    })) << "cut off after "
        << requests << " requests: " << rig.Get(kFileSystem, "shared").dump(1)
        << rig.Get(kAccessPoint, "x").dump(1);
    EXPECT_EQ(rig.control.access_points().size(), 1u) << requests;
    last = requests;
    if (ready) break;
  }
  RecordProperty("requests", last);
  EXPECT_LT(last, kMaxRequests - 1) << "a life is longer than this test thinks";
  EXPECT_GT(last, 10);
}

TEST(Crash, DeletingGoesOnWhereItWasCutOff) {
  int last = 0;
  for (int requests = 0; requests < kMaxRequests; ++requests) {
    Rig rig;
    rig.Start();
    MakeAll(rig);
    ASSERT_TRUE(Eventually([&] {
      ServeWhenMade(rig);
      return AllReady(rig);
    }));
    rig.Kill();
    rig.Start(requests);
    for (const auto& type : {kAccessPoint, kMountTarget, kLifecyclePolicy}) rig.Delete(type, "x");
    rig.Delete(kFileSystem, "shared");
    bool gone = false;
    ASSERT_TRUE(Eventually([&] {
      gone = AllGone(rig);
      return gone || rig.cut_off();
    }));
    rig.Kill();
    rig.Start();
    ASSERT_TRUE(Eventually([&] { return AllGone(rig); }))
        << "cut off after " << requests << " requests; left: " << Left(rig);
    EXPECT_TRUE(rig.control.access_points().empty()) << requests;
    last = requests;
    if (gone) break;
  }
  RecordProperty("requests", last);
  EXPECT_LT(last, kMaxRequests - 1) << "a life is longer than this test thinks";
  EXPECT_GT(last, 5);
}

TEST(ApiServer, ErrorsThrottlingCutsAndForgottenVersionsAreSurvived) {
  Rig rig;
  rig.Start();
  MakeAll(rig);
  for (int round = 0; round < 20 && !AllReady(rig); ++round) {
    rig.cluster.FailNext(500, "InternalError", 2);
    rig.cluster.FailNext(429, "TooManyRequests", 2);
    rig.cluster.FailNext(409, "Conflict", 1);
    rig.cluster.FailNext(0, "", 2);
    rig.cluster.Compact();
    rig.cluster.CutWatches(round % 2 == 0);
    ServeWhenMade(rig);
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(Eventually([&] {
    ServeWhenMade(rig);
    return AllReady(rig);
  }));
  EXPECT_EQ(rig.control.access_points().size(), 1u);
}

TEST(ApiServer, ObjectsOfUnexpectedShapeEndNothing) {
  Rig rig;
  rig.Start();
  rig.Create(kFileSystem, {{"metadata", {{"name", "odd"}}}, {"spec", {{"storage", 7}}}});
  rig.Create(kFileSystem, {{"metadata", {{"name", "odder"}}},
                           {"spec", {{"tags", "x"}, {"server", Json::array()}}},
                           {"status", {{"conditions", "none"}, {"sizeInBytes", 1}}}});
  rig.Create(kAccessPoint, {{"metadata", {{"name", "odd"}}},
                            {"spec", {{"fileSystemRef", "shared"}, {"quota", 3}}}});
  rig.Create(kVolume, {{"metadata", {{"name", "odd"}}}, {"spec", {{"csi", "x"}}}});
  MakeAll(rig);
  EXPECT_TRUE(Eventually([&] {
    ServeWhenMade(rig);
    return AllReady(rig);
  }));
}

// Many file systems at once, each with access points: all come, and none of it takes requests in
// proportion to the others.
TEST(Scale, FiftyFileSystemsWithAccessPoints) {
  constexpr int kFileSystems = 50, kAccessPointsEach = 4;
  constexpr size_t kRequestsEach = 100;  // of a file system with its access points
  Rig rig;
  rig.Start();
  auto name = [](int i) { return "fs" + std::to_string(i); };
  for (int i = 0; i < kFileSystems; ++i) {
    rig.Create(kFileSystem, {{"metadata", {{"name", name(i)}}}, {"spec", SharedSpec()}});
    for (int j = 0; j < kAccessPointsEach; ++j) {
      rig.Create(kAccessPoint, {{"metadata", {{"name", name(i) + "-" + std::to_string(j)}}},
                                {"spec", {{"fileSystemRef", {{"name", name(i)}}}}}});
    }
  }
  for (int i = 0; i < kFileSystems; ++i) rig.SetServing(name(i));
  for (int i = 0; i < kFileSystems; ++i) {
    ASSERT_TRUE(Eventually([&] { return rig.Condition(kFileSystem, name(i), "Ready") == "True"; }));
    for (int j = 0; j < kAccessPointsEach; ++j) {
      std::string ap = name(i) + "-" + std::to_string(j);
      ASSERT_TRUE(Eventually([&] { return rig.Condition(kAccessPoint, ap, "Ready") == "True"; }));
    }
  }
  EXPECT_EQ(rig.control.access_points().size(), size_t{kFileSystems * kAccessPointsEach});
  EXPECT_LT(rig.cluster.requests().size(), kFileSystems * kRequestsEach);
}

// What a reconcile that finds all as it should be asks for: nothing is written.
TEST(ApiServer, NothingIsWrittenWhenNothingChanged) {
  Rig rig;
  rig.Start();
  MakeAll(rig);
  ASSERT_TRUE(Eventually([&] {
    ServeWhenMade(rig);
    return AllReady(rig);
  }));
  ASSERT_TRUE(Eventually([&] {  // what is under way ends
    size_t asked = rig.cluster.requests().size();
    std::this_thread::sleep_for(200ms);
    return rig.cluster.requests().size() == asked;
  }));
  rig.Kill();
  size_t before = rig.cluster.requests().size();
  rig.Start();
  std::this_thread::sleep_for(300ms);
  auto requests = rig.cluster.requests();
  for (size_t i = before; i < requests.size(); ++i) {
    bool monitor = requests[i].find("servicemonitors") != std::string::npos;
    bool read = requests[i].starts_with("GET ") || requests[i].starts_with("WATCH ");
    EXPECT_TRUE(read || monitor) << requests[i];
  }
}

}  // namespace
}  // namespace tarn::op
