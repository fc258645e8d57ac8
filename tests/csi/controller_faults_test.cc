// The CSI controller against the real control service: servers that go away, many calls at once,
// certificates that change.
#include "common/control_role.h"
#include "common/files.h"
#include "tests/csi/controller_world.h"

namespace tarn::csi {
namespace {

TEST_F(ControllerTest, AServerThatIsDownIsUnavailableAndLosesNothing) {
  pb::Volume volume;
  ASSERT_TRUE(Create(Request("a"), &volume).ok());
  server.reset();
  auto down = Create(Request("b"));
  EXPECT_EQ(down.error_code(), StatusCode::UNAVAILABLE) << down.error_message();
  EXPECT_EQ(Delete(volume.volume_id()).error_code(), StatusCode::UNAVAILABLE);
  StartServer();
  for (int i = 0; i < 100 && !down.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    down = Create(Request("b"));
  }
  EXPECT_TRUE(down.ok()) << down.error_message();
  EXPECT_TRUE(Delete(volume.volume_id()).ok());
  EXPECT_EQ(AccessPoints().size(), 1u);
}

// As the provisioner does it: many at once, each asked for again while the first is under way, as
// after a deadline.
TEST_F(ControllerTest, FiftyAtOnceWithRetriesLeaveNothingBehind) {
  constexpr int kVolumes = 50;
  std::vector<std::string> ids(kVolumes);
  std::vector<std::string> ids_of_retry(kVolumes);
  auto until_done = [](auto call) {
    for (;;) {
      grpc::Status status = call();
      if (status.error_code() != StatusCode::ABORTED) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  auto all = [&](auto work) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2 * kVolumes; ++i) threads.emplace_back([=] { work(i / 2, i % 2 == 1); });
  };
  all([&](int i, bool retry) {
    pb::Volume volume;
    auto request = Request("pvc-" + std::to_string(i));
    auto status = until_done([&] { return Create(request, &volume); });
    EXPECT_TRUE(status.ok()) << status.error_message();
    (retry ? ids_of_retry : ids)[static_cast<size_t>(i)] = volume.volume_id();
  });
  EXPECT_EQ(ids, ids_of_retry);
  std::set<uint32_t> gids;
  for (const auto& ap : AccessPoints()) gids.insert(ap.posix_user().gid());
  EXPECT_EQ(gids.size(), static_cast<size_t>(kVolumes));  // no two volumes share an identity
  all([&](int i, bool) {
    auto status = until_done([&] { return Delete(ids[static_cast<size_t>(i)]); });
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  EXPECT_TRUE(AccessPoints().empty());
}

// The operator writes the Secret only with the first file system, and renews it later.
TEST_F(ControllerTest, FollowsItsSecretFromAbsentToRenewed) {
  auto issue = [&](const rpcs::TestAuthority& authority) {
    authority.Issue(dir + "/tls", {.uris = {UriOf(ControlRole::kProvisioner)}});
    kube::Json data;
    for (const char* name : {"ca.crt", "tls.crt", "tls.key"}) {
      data[name] = kube::EncodeBase64(*ReadSmallFile(dir + "/tls/" + name));
    }
    return kube::Json{{"metadata", {{"name", "who"}, {"namespace", "tarn"}}}, {"data", data}};
  };
  const std::string secrets = "/api/v1/namespaces/tarn/secrets";
  rpcs::TestAuthority first, second;
  kube::Json secret = issue(first);
  auto start = [&](int port) {
    auto started = rpcs::Server::Start({{"127.0.0.1:" + std::to_string(port), dir + "/tls", 0}},
                                       {control_service.get()});
    ASSERT_TRUE(started.ok()) << started.error().message();
    server = std::move(*started);
  };
  server.reset();
  start(0);
  int port = server->port(0);
  std::string address = "127.0.0.1:" + std::to_string(port);

  ControlServers by_secret("", [&] { return ReadTlsSecret(*reader, "tarn", "who"); });
  auto call = [&] {
    control_pb::DescribeAccessPointsRequest request;
    request.set_file_system_id(kFs);
    return by_secret
        .Call(address, &control_pb::Control::Stub::DescribeAccessPoints, request,
              std::chrono::seconds(5))
        .code();
  };
  EXPECT_EQ(call(), Code::kUnavailable);
  cluster.Put(secrets, secret);
  EXPECT_EQ(call(), Code::kOk);
  // A new authority on both sides: the old certificate is refused, the new one is found by itself.
  server.reset();
  cluster.Put(secrets, issue(second));
  start(port);
  Code code = Code::kUnavailable;
  for (int i = 0; i < 100 && code != Code::kOk; ++i) {
    code = call();
    if (code != Code::kOk) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(code, Code::kOk);
}

}  // namespace
}  // namespace tarn::csi
