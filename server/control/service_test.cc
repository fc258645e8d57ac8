// The service over a real Unix socket and over TCP with mutual TLS.
#include "server/control/service.h"

#include <gmock/gmock.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/control.grpc.pb.h"
#include "common/control_role.h"
#include "common/grpc/channel.h"
#include "common/grpc/server.h"
#include "common/grpc/testing/certificates.h"
#include "common/grpc/testing/threads_end.h"
#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using std::chrono::seconds;

class ServiceTest : public World {
 protected:
  ServiceTest() {
    char name[] = "/tmp/tarn-control-XXXXXX";
    dir_ = mkdtemp(name);
    authority_.Issue(dir_ + "/server");
    authority_.Issue(dir_ + "/client", {.uris = {UriOf(ControlRole::kAdmin)}});
    service_ = NewService(*manager_);
    auto server = rpcs::Server::Start({{.endpoint = dir_ + "/control.sock", .tls_dir = {}},
                                       {.endpoint = "127.0.0.1:0", .tls_dir = dir_ + "/server"}},
                                      {service_.get()});
    EXPECT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(server).value();
  }
  ~ServiceTest() override {
    server_ = nullptr;
    std::filesystem::remove_all(dir_);
  }

  std::string Tcp() const { return "127.0.0.1:" + std::to_string(server_->port(1)); }

  Result<v1::FileSystemDescription> Create(const std::shared_ptr<grpc::Channel>& channel,
                                           const std::string& token, const std::string& mode = "") {
    auto stub = v1::Control::NewStub(channel);
    v1::CreateFileSystemRequest request;
    request.set_creation_token(token);
    request.set_throughput_mode(mode);
    v1::FileSystemDescription response;
    TRY(rpcs::Call(*stub, &v1::Control::Stub::CreateFileSystem, request, response, seconds{5}));
    return response;
  }

  std::string dir_;
  rpcs::TestAuthority authority_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpcs::Server> server_;
};

TEST_F(ServiceTest, SocketAndTcpShowTheSameResources) {
  auto socket = rpcs::OpenChannel("unix:" + dir_ + "/control.sock", "").value();
  auto tcp = rpcs::OpenChannel(Tcp(), dir_ + "/client").value();
  auto made = Create(socket, "one");
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  EXPECT_EQ(Create(tcp, "one")->file_system_id(), made->file_system_id());
}

TEST_F(ServiceTest, ClientsGetCodeNameMessageAndResource) {
  auto tcp = rpcs::OpenChannel(Tcp(), dir_ + "/client").value();
  std::string id = Create(tcp, "one")->file_system_id();
  auto refused = Create(tcp, "one", "bursting");
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(refused.error().api_name(), "FileSystemAlreadyExists");
  EXPECT_EQ(refused.error().resource_id(), id);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("already exists"));
}

TEST_F(ServiceTest, ClientsWithoutDetailsGetTheNameAsMetadata) {
  auto stub = v1::Control::NewStub(rpcs::OpenChannel(dir_ + "/control.sock", "").value());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds{5});
  v1::DeleteFileSystemRequest request;
  request.set_file_system_id("fs-00000000000000000");
  v1::Empty response;
  EXPECT_EQ(stub->DeleteFileSystem(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  auto found = context.GetServerTrailingMetadata().find("efs-error-code");
  ASSERT_NE(found, context.GetServerTrailingMetadata().end());
  EXPECT_EQ(std::string(found->second.data(), found->second.size()), "FileSystemNotFound");
}

TEST_F(ServiceTest, AStrangersCertificateIsRefused) {
  rpcs::TestAuthority other;
  other.Issue(dir_ + "/stranger");
  std::filesystem::copy_file(dir_ + "/server/ca.crt", dir_ + "/stranger/ca.crt",
                             std::filesystem::copy_options::overwrite_existing);
  auto channel = rpcs::OpenChannel(Tcp(), dir_ + "/stranger").value();
  EXPECT_EQ(Create(channel, "one").code(), Code::kUnavailable);
  EXPECT_TRUE(manager_->Usage().empty());
}

TEST_F(ServiceTest, EachChangeIsOneAuditLine) {
  std::ostringstream log;
  auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log);
  auto logger = std::make_shared<spdlog::logger>("audit test", sink);
  logger->set_pattern("%v");
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(logger);
  auto tcp = rpcs::OpenChannel(Tcp(), dir_ + "/client").value();
  std::string id = Create(tcp, "one")->file_system_id();
  (void)Create(tcp, "one", "bursting");
  spdlog::set_default_logger(before);
  std::istringstream lines(log.str());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["audit"], "CreateFileSystem");
  EXPECT_EQ(first["who"], "CN=test leaf");
  EXPECT_EQ(first["role"], "admin");
  EXPECT_EQ(first["made"], id);
  EXPECT_EQ(first["result"], "ok");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line)["result"], "FileSystemAlreadyExists");
}

TEST_F(ServiceTest, FiftyClientsAtOnceWithOneToken) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::string> ids;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      auto made = Create(rpcs::OpenChannel(dir_ + "/control.sock", "").value(), "same");
      std::lock_guard lock(mutex);
      ids.insert(made.ok() ? made->file_system_id() : made.error().ToString());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 1u) << *ids.begin();
}

}  // namespace
}  // namespace tarn::control
