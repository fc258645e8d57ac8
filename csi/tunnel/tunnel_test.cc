// The client against a tunnel of our own that answers on a Unix socket.
#include "csi/tunnel/tunnel.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>

#include "api/tunnel.grpc.pb.h"
#include "common/grpc/server.h"

namespace tarn::csi {
namespace {

namespace pb = ::tarn::tunnel::v1;

class FakeService final : public pb::Tunnel::Service {
 public:
  grpc::Status OpenMount(grpc::ServerContext*, const pb::OpenMountRequest* request,
                         pb::OpenMountResponse* response) override {
    if (request->server_name().empty()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "server_name is missing"};
    }
    opened[request->mount_id()] = *request;
    response->set_address("127.0.0.1");
    response->set_port(20049);
    return grpc::Status::OK;
  }
  grpc::Status CloseMount(grpc::ServerContext*, const pb::CloseMountRequest* request,
                          pb::CloseMountResponse*) override {
    opened.erase(request->mount_id());
    return grpc::Status::OK;
  }
  grpc::Status ListMounts(grpc::ServerContext*, const pb::ListMountsRequest*,
                          pb::ListMountsResponse* response) override {
    for (const auto& [id, request] : opened) {
      auto* mount = response->add_mounts();
      mount->set_mount_id(id);
      mount->set_address("127.0.0.1");
      mount->set_port(20049);
      mount->set_server_name(request.server_name());
      mount->set_last_error("no route");
    }
    return grpc::Status::OK;
  }

  std::map<std::string, pb::OpenMountRequest> opened;
};

struct TunnelTest : testing::Test {
  TunnelTest() {
    std::string name = "/tmp/tarn-tunnel-XXXXXX";
    dir = mkdtemp(name.data());
    socket = "unix:" + dir + "/tunnel.sock";
  }
  ~TunnelTest() override { std::filesystem::remove_all(dir); }

  std::string dir, socket;
  FakeService service;
};

TEST_F(TunnelTest, CarriesEveryField) {
  auto server = rpcs::Server::Start({{socket, "", 0600}}, {&service});
  ASSERT_TRUE(server.ok());
  auto tunnel = NewTunnelClient(socket);
  ASSERT_TRUE(tunnel.ok());
  auto address = (*tunnel)->Open({"m", "10.0.0.1:2049", "fs-1.efs.tarn", "ca", "cert", "key"});
  ASSERT_TRUE(address.ok()) << address.error().message();
  EXPECT_EQ(*address, "127.0.0.1:20049");
  const auto& sent = service.opened.at("m");
  EXPECT_EQ(sent.servers(0), "10.0.0.1:2049");
  EXPECT_EQ(sent.server_name(), "fs-1.efs.tarn");
  EXPECT_EQ(sent.authority_pem(), "ca");
  EXPECT_EQ(sent.certificate_pem(), "cert");
  EXPECT_EQ(sent.private_key_pem(), "key");
  auto mounts = (*tunnel)->List();
  ASSERT_TRUE(mounts.ok());
  ASSERT_EQ(mounts->size(), 1u);
  EXPECT_EQ((*mounts)[0].id, "m");
  EXPECT_EQ((*mounts)[0].address, "127.0.0.1:20049");
  EXPECT_EQ((*mounts)[0].last_error, "no route");
  EXPECT_TRUE((*tunnel)->Close("m").ok());
  EXPECT_TRUE(service.opened.empty());
}

TEST_F(TunnelTest, SaysWhoDoesNotAnswerAndWhatIsWrong) {
  auto tunnel = NewTunnelClient(socket);
  ASSERT_TRUE(tunnel.ok());
  auto nobody = (*tunnel)->List();
  EXPECT_EQ(nobody.code(), Code::kUnavailable);
  EXPECT_NE(nobody.error().message().find("tarn-tunnel at unix:"), std::string::npos);
  auto server = rpcs::Server::Start({{socket, "", 0600}}, {&service});
  ASSERT_TRUE(server.ok());
  // It comes back by itself, within gRPC's pause between tries.
  Result<std::string> bad = Error(Code::kUnavailable, "");
  for (int i = 0; i < 100 && bad.code() == Code::kUnavailable; ++i) {
    bad = (*tunnel)->Open({"m", "10.0.0.1:2049", "", "ca", "cert", "key"});
    if (bad.code() == Code::kUnavailable) usleep(50'000);
  }
  EXPECT_EQ(bad.code(), Code::kInvalid);
  EXPECT_NE(bad.error().message().find("server_name"), std::string::npos);
  EXPECT_EQ(NewTunnelClient("10.0.0.1:5").code(), Code::kInvalid);
}

}  // namespace
}  // namespace tarn::csi
