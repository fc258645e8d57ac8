// The service over a real Unix socket and over TCP with mutual TLS.
#include "server/control/service.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/control.grpc.pb.h"
#include "common/control_role.h"
#include "common/grpc/channel.h"
#include "common/grpc/testing/threads_end.h"
#include "server/control/testing/served_world.h"

namespace tarn::control {
namespace {

using std::chrono::seconds;

class ServiceTest : public ServedWorld {
 protected:
  ServiceTest() { authority_.Issue(dir_ + "/client", {.uris = {UriOf(ControlRole::kAdmin)}}); }

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
};

TEST_F(ServiceTest, SocketAndTcpShowTheSameResources) {
  auto socket = rpcs::OpenChannel("unix:" + Socket(), "").value();
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
  auto stub = v1::Control::NewStub(rpcs::OpenChannel(Socket(), "").value());
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
      auto made = Create(rpcs::OpenChannel(Socket(), "").value(), "same");
      std::lock_guard lock(mutex);
      ids.insert(made.ok() ? made->file_system_id() : made.error().ToString());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 1u) << *ids.begin();
}

}  // namespace
}  // namespace tarn::control
