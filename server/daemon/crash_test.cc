// kill -9 while clients of the control API make and delete access points: what was acknowledged is
// there, what was deleted is gone, and every invariant holds.
#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "server/daemon/testing/server_process.h"

namespace tarn::daemon {
namespace {

namespace pb = control::v1;
using std::chrono::seconds;

constexpr char kFileSystem[] = "fs-0123456789abcdef0";
constexpr int kRounds = 5;
constexpr int kClients = 4;

// What the clients know: access points by token, and whether a call on it is in flight.
struct Known {
  std::mutex mutex;
  std::map<std::string, std::string> made;  // token to id, acknowledged
  std::map<std::string, bool> unsure;       // a call whose answer the crash took
  int next = 0;
};

std::unique_ptr<pb::Control::Stub> Connect(const std::string& socket) {
  return pb::Control::NewStub(rpcs::OpenChannel(socket, "").value());
}

Result<pb::AccessPointDescription> Create(pb::Control::Stub& stub, const std::string& token) {
  pb::CreateAccessPointRequest request;
  request.set_file_system_id(kFileSystem);
  request.set_client_token(token);
  request.mutable_root_directory()->set_path("/" + token);
  request.mutable_root_directory()->mutable_creation_info()->set_permissions("0700");
  request.set_gid_range_start(1000);
  request.set_gid_range_end(60'000);
  pb::AccessPointDescription response;
  TRY(rpcs::Call(stub, &pb::Control::Stub::CreateAccessPoint, request, response, seconds{10}));
  return response;
}

Result<void> Delete(pb::Control::Stub& stub, const std::string& id) {
  pb::DeleteAccessPointRequest request;
  request.set_access_point_id(id);
  request.set_delete_root_directory(true);
  pb::Empty response;
  return rpcs::Call(stub, &pb::Control::Stub::DeleteAccessPoint, request, response, seconds{10});
}

// Makes access points, deletes every third, until the server is gone.
void Work(const std::string& socket, Known& known) {
  auto stub = Connect(socket);
  for (;;) {
    std::string token;
    {
      std::lock_guard lock(known.mutex);
      token = "t" + std::to_string(known.next++);
      known.unsure[token] = true;
    }
    auto made = Create(*stub, token);
    if (!made.ok()) return;
    std::string id = made->access_point_id();
    bool remove = token.back() % 3 == 0;
    {
      std::lock_guard lock(known.mutex);
      known.made[token] = id;
      if (!remove) known.unsure.erase(token);
    }
    if (!remove) continue;
    if (!Delete(*stub, id).ok()) return;
    std::lock_guard lock(known.mutex);
    known.made.erase(token);
    known.unsure.erase(token);
  }
}

void Verify(const std::string& socket, Known& known) {
  auto stub = Connect(socket);
  std::map<std::string, std::string> there;
  std::map<uint32_t, int> gids;
  std::string next;
  do {
    pb::DescribeAccessPointsRequest request;
    request.set_next_token(next);
    request.set_max_results(1000);
    pb::DescribeAccessPointsResponse page;
    auto got =
        rpcs::Call(*stub, &pb::Control::Stub::DescribeAccessPoints, request, page, seconds{10});
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    for (const auto& ap : page.access_points()) {
      EXPECT_TRUE(there.emplace(ap.client_token(), ap.access_point_id()).second) << "token twice";
      EXPECT_EQ(++gids[ap.posix_user().gid()], 1) << "gid twice";
      EXPECT_EQ(ap.life_cycle_state(), "available");
    }
    next = page.next_token();
  } while (!next.empty());
  for (const auto& [token, id] : known.made) {
    if (known.unsure.contains(token)) continue;
    ASSERT_TRUE(there.contains(token)) << token << " was acknowledged and is lost";
    EXPECT_EQ(there[token], id);
  }
  for (const auto& [token, id] : there) {
    EXPECT_TRUE(known.made.contains(token) || known.unsure.contains(token))
        << token << " was deleted and is back";
  }
  // A retry settles what the crash left open.
  for (const auto& [token, unsure] : known.unsure) {
    auto made = Create(*stub, token);
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    known.made[token] = made->access_point_id();
  }
  known.unsure.clear();
  pb::FsckReport report;
  ASSERT_TRUE(rpcs::Call(*stub, &pb::Control::Stub::Fsck, {}, report, seconds{30}).ok());
  EXPECT_EQ(report.problem_count(), 0u) << report.ShortDebugString();
}

TEST(Crash, AcknowledgedChangesOfResourcesSurviveKill) {
  TempDir dir;
  std::vector<std::string> arguments{"--data-dir",  dir / "data",       "--listen",
                                     "127.0.0.1:0", "--file-system-id", kFileSystem};
  const std::string socket = dir / "data/control.sock";
  Known known;
  std::mt19937 random(20261126);
  for (int round = 0; round < kRounds; ++round) {
    ServerProcess server(TARN_SERVER, arguments);
    ASSERT_TRUE(server.WaitServing()) << server.Output();
    Verify(socket, known);
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) clients.emplace_back([&] { Work(socket, known); });
    std::this_thread::sleep_for(std::chrono::milliseconds{50 + random() % 300});
    server.Signal(SIGKILL);
    server.Wait();
    for (auto& client : clients) client.join();
  }
  ServerProcess server(TARN_SERVER, arguments);
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  Verify(socket, known);
  EXPECT_GT(known.made.size(), 10u);
}

}  // namespace
}  // namespace tarn::daemon
