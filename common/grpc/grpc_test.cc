#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/endpoint.h"
#include "common/grpc/server.h"
#include "common/grpc/status.h"
#include "common/grpc/testing/certificates.h"
#include "common/grpc/testing/threads_end.h"

namespace tarn::rpcs {
namespace {

namespace pb = control::v1;
using std::chrono::seconds;
using testing::HasSubstr;

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/tarn-grpc-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(Endpoint, EverySpellingOfASocketBecomesOne) {
  for (const char* text : {"unix:///a/b.sock", "unix://a/b.sock", "unix:/a/b.sock", "/a/b.sock"}) {
    EXPECT_EQ(NormaliseEndpoint(text).value(), "unix:/a/b.sock") << text;
  }
  EXPECT_EQ(SocketPath("unix:/a/b.sock"), "/a/b.sock");
  EXPECT_EQ(SocketPath("a:1"), "");
}

TEST(Endpoint, HostAndPortStay) {
  for (const char* text : {"127.0.0.1:9400", "server.tarn.svc:1", "[::1]:0"}) {
    EXPECT_EQ(NormaliseEndpoint(text).value(), text);
  }
}

TEST(Endpoint, WrongOnesSayWhatToWrite) {
  for (const char* text : {"", "unix:", "unix:a.sock", "/", "host", "host:", ":1", "host:65536",
                           "host:1x", "::1:9400", "a b:1", "http://a:1"}) {
    auto result = NormaliseEndpoint(text);
    EXPECT_EQ(result.code(), Code::kInvalid) << text;
  }
  EXPECT_TRUE(NormaliseEndpoint("/" + std::string(106, 'a')).ok());
  EXPECT_THAT(NormaliseEndpoint("/" + std::string(107, 'a')).error().message(),
              HasSubstr("107 bytes"));
}

TEST(Status, EveryCodeSurvivesTheWire) {
  for (int i = 1; i <= static_cast<int>(Code::kInternal); ++i) {
    Error error(static_cast<Code>(i), "because");
    grpc::Status status = ToStatus(error);
    EXPECT_FALSE(status.ok());
    Error back = FromStatus(status, "peer");
    EXPECT_EQ(back.code(), error.code());
    EXPECT_EQ(back.message(), "because");
    EXPECT_EQ(back.api_name(), "");
  }
}

TEST(Status, EfsNameAndResourceSurviveTheWire) {
  Error back = FromStatus(ToStatus(
      Error(Code::kAlreadyExists, "taken", "AccessPointAlreadyExists", "fsap-0123456789abcdef0")));
  EXPECT_EQ(back.code(), Code::kAlreadyExists);
  EXPECT_EQ(back.api_name(), "AccessPointAlreadyExists");
  EXPECT_EQ(back.resource_id(), "fsap-0123456789abcdef0");
}

TEST(Status, ForeignStatusAndGarbageDetailsBecomeTheNearestCode) {
  Error error = FromStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "refused"), "a:1");
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.message(), "a:1: refused");
  error = FromStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "x", "\xff\xfe garbage"));
  EXPECT_EQ(error.code(), Code::kNotFound);
}

TEST(Status, LongMessagesAreCut) {
  EXPECT_EQ(ToStatus(Error(Code::kInvalid, std::string(100'000, 'm'))).error_message().size(),
            kMessageBytesMax);
}

// Answers with the error that every control service can give.
class Refuser : public pb::Control::Service {
  grpc::Status DeleteAccessPoint(grpc::ServerContext* context,
                                 const pb::DeleteAccessPointRequest* request, pb::Empty*) override {
    if (request->access_point_id() == "slow") {
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    if (request->access_point_id() == "good") return {};
    return ToStatus(Error(Code::kNotFound, "gone", "AccessPointNotFound", "fsap-1"), *context);
  }
};

Result<void> Ask(const std::shared_ptr<grpc::Channel>& channel, const std::string& id,
                 std::chrono::milliseconds timeout = seconds{5}) {
  auto stub = pb::Control::NewStub(channel);
  pb::DeleteAccessPointRequest request;
  request.set_access_point_id(id);
  pb::Empty response;
  return Call(*stub, &pb::Control::Stub::DeleteAccessPoint, request, response, timeout, "server");
}

TEST(Server, ServesASocketWithItsModeAndCarriesErrors) {
  TempDir dir;
  Refuser service;
  std::string socket = dir / "control.sock";
  auto server = Server::Start({{.endpoint = "unix://" + socket, .tls_dir = {}}}, {&service});
  ASSERT_TRUE(server.ok()) << server.error().ToString();
  struct stat info {};
  ASSERT_EQ(stat(socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  auto channel = OpenChannel(socket, "").value();
  EXPECT_TRUE(Ask(channel, "good").ok());
  auto result = Ask(channel, "other");
  EXPECT_EQ(result.code(), Code::kNotFound);
  EXPECT_EQ(result.error().api_name(), "AccessPointNotFound");
  EXPECT_EQ(result.error().resource_id(), "fsap-1");
  EXPECT_EQ(Ask(channel, "slow", std::chrono::milliseconds{50}).code(), Code::kDeadlineExceeded);
  server.value().reset();
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_EQ(Ask(channel, "good").code(), Code::kUnavailable);
}

TEST(Server, TheSocketsFolderIsMade) {
  TempDir dir;
  Refuser service;
  std::string socket = dir / "plugins/driver/csi.sock";
  auto server = Server::Start({{.endpoint = socket, .tls_dir = {}}}, {&service});
  ASSERT_TRUE(server.ok()) << server.error().ToString();
  EXPECT_TRUE(Ask(OpenChannel(socket, "").value(), "good").ok());
}

TEST(Server, ASecondProcessDoesNotTakeTheSocket) {
  TempDir dir;
  Refuser service;
  std::vector<ListenAt> at{{.endpoint = dir / "a.sock", .tls_dir = {}}};
  auto first = Server::Start(at, {&service});
  ASSERT_TRUE(first.ok());
  auto second = Server::Start(at, {&service});
  EXPECT_EQ(second.code(), Code::kInUse);
  EXPECT_TRUE(Ask(OpenChannel(dir / "a.sock", "").value(), "good").ok());
}

TEST(Server, ALeftoverSocketIsReplacedAnotherFileIsNot) {
  TempDir dir;
  Refuser service;
  std::ofstream(dir / "file") << "precious";
  auto refused = Server::Start({{.endpoint = dir / "file", .tls_dir = {}}}, {&service});
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_TRUE(std::filesystem::exists(dir / "file"));
}

TEST(Server, MutualTlsRefusesStrangersAndTakesOurs) {
  TempDir dir;
  TestAuthority ours;
  TestAuthority theirs;
  ours.Issue(dir / "server");
  ours.Issue(dir / "client");
  theirs.Issue(dir / "stranger");
  // The stranger knows our authority, so that only the server can refuse.
  std::filesystem::copy_file(dir / "server/ca.crt", dir / "stranger/ca.crt",
                             std::filesystem::copy_options::overwrite_existing);
  Refuser service;
  auto server = Server::Start({{.endpoint = "127.0.0.1:0", .tls_dir = dir / "server"}}, {&service});
  ASSERT_TRUE(server.ok()) << server.error().ToString();
  std::string address = "127.0.0.1:" + std::to_string(server.value()->port(0));
  EXPECT_TRUE(Ask(OpenChannel(address, dir / "client").value(), "good").ok());
  EXPECT_TRUE(Ask(OpenChannel(address, ReadTlsDir(dir / "client").value()).value(), "good").ok());
  EXPECT_EQ(Ask(OpenChannel(address, dir / "stranger").value(), "good").code(), Code::kUnavailable);
  EXPECT_EQ(OpenChannel(address, "").code(), Code::kInvalid);
}

TEST(Server, ACertificateForAnotherHostIsRefusedByTheClient) {
  TempDir dir;
  TestAuthority ours;
  ours.Issue(dir / "server", {.dns_name = "elsewhere.example"});
  ours.Issue(dir / "client");
  Refuser service;
  auto server = Server::Start({{.endpoint = "127.0.0.1:0", .tls_dir = dir / "server"}}, {&service});
  ASSERT_TRUE(server.ok());
  std::string address = "127.0.0.1:" + std::to_string(server.value()->port(0));
  EXPECT_EQ(Ask(OpenChannel(address, dir / "client").value(), "good").code(), Code::kUnavailable);
}

TEST(Server, RenewedCertificatesAreTakenWithoutARestart) {
  TempDir dir;
  TestAuthority first;
  TestAuthority second;
  first.Issue(dir / "server");
  Refuser service;
  auto server = Server::Start({{.endpoint = "127.0.0.1:0", .tls_dir = dir / "server"}}, {&service});
  ASSERT_TRUE(server.ok());
  std::string address = "127.0.0.1:" + std::to_string(server.value()->port(0));
  second.Issue(dir / "client");
  second.Issue(dir / "server");
  bool taken = false;
  for (int i = 0; i < 100 && !taken; ++i) {
    taken = Ask(OpenChannel(address, dir / "client").value(), "good").ok();
    if (!taken) std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  EXPECT_TRUE(taken);
}

TEST(Server, TlsFilesAtFaultAreNamed) {
  TempDir dir;
  TestAuthority ours;
  Refuser service;
  std::vector<ListenAt> at{{.endpoint = "127.0.0.1:0", .tls_dir = dir / "tls"}};
  EXPECT_THAT(Server::Start(at, {&service}).error().message(), HasSubstr("tls/ca.crt"));
  ours.Issue(dir / "tls");
  ours.Issue(dir / "other");
  std::filesystem::rename(dir / "other/tls.key", dir / "tls/tls.key");
  EXPECT_THAT(Server::Start(at, {&service}).error().message(), HasSubstr("not the key"));
  std::ofstream(dir / "tls/tls.crt") << "no PEM";
  EXPECT_THAT(Server::Start(at, {&service}).error().message(), HasSubstr("tls.crt is no PEM"));
}

TEST(Server, ATakenPortIsAnError) {
  TempDir dir;
  TestAuthority ours;
  ours.Issue(dir / "tls");
  Refuser service;
  auto first = Server::Start({{.endpoint = "127.0.0.1:0", .tls_dir = dir / "tls"}}, {&service});
  ASSERT_TRUE(first.ok());
  std::string address = "127.0.0.1:" + std::to_string(first.value()->port(0));
  auto second = Server::Start({{.endpoint = address, .tls_dir = dir / "tls"}}, {&service});
  EXPECT_EQ(second.code(), Code::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(address));
}

}  // namespace
}  // namespace tarn::rpcs
