// The controller plugin and the server as processes that are killed in the middle of the work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "tests/csi/plugin_world.h"

namespace tarn::csi {
namespace {

namespace control_pb = ::tarn::control::v1;
constexpr int kVolumes = 50;
constexpr int kThreads = 10;

std::set<std::string> AccessPoints(const World& world) {
  auto channel = rpcs::OpenChannel("unix:" + world.dir + "/control.sock", "");
  auto stub = control_pb::Control::NewStub(*channel);
  control_pb::DescribeAccessPointsRequest request;
  request.set_max_results(1000);
  control_pb::DescribeAccessPointsResponse response;
  // The server may have been started a moment ago.
  EXPECT_TRUE(Eventually(
      [&] {
        return rpcs::Call(*stub, &control_pb::Control::Stub::DescribeAccessPoints, request,
                          response, std::chrono::seconds(10))
            .ok();
      },
      std::chrono::seconds(30)));
  std::set<std::string> ids;
  for (const auto& one : response.access_points()) ids.insert(one.access_point_id());
  return ids;
}

// Calls `work` for each volume from several threads, again and again until it succeeds, as the
// sidecars do; meanwhile `disturb` is called.
template <typename Work, typename Disturb>
void ForAll(Work work, Disturb disturb) {
  std::atomic<int> next{0}, done{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int volume; (volume = next++) < kVolumes; ++done) {
        EXPECT_TRUE(Eventually([&] { return work(volume).ok(); }, std::chrono::seconds(60)));
      }
    });
  }
  disturb(done);
}

TEST(ControllerE2E, KillsInTheMiddleLoseNothingAndLeaveNothing) {
  World world;
  std::vector<std::string> ids(kVolumes);
  auto kill_controller = [&](std::atomic<int>& done, int at) {
    EXPECT_TRUE(Eventually([&] { return done >= at; }, std::chrono::seconds(60)));
    world.controller->Kill();
    world.StartController();
  };
  auto kill_server = [&](std::atomic<int>& done, int at) {
    EXPECT_TRUE(Eventually([&] { return done >= at; }, std::chrono::seconds(60)));
    world.server->Kill();
    world.StartServer();
  };
  ForAll([&](int i) { return world.TryCreate("pvc-" + std::to_string(i), &ids[i]); },
         [&](std::atomic<int>& done) {
           kill_server(done, 10);
           kill_controller(done, 20);
           kill_server(done, 30);
         });
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), size_t{kVolumes});
  EXPECT_EQ(AccessPoints(world).size(), size_t{kVolumes});
  ForAll([&](int i) { return world.TryDelete(ids[i]); },
         [&](std::atomic<int>& done) {
           kill_controller(done, 10);
           kill_server(done, 30);
         });
  EXPECT_TRUE(AccessPoints(world).empty());
}

}  // namespace
}  // namespace tarn::csi
