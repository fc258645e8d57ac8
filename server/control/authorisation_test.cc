// Each method of the control API, asked by each role, over a real socket and real mutual TLS.
#include "server/control/authorisation.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "server/control/testing/served_world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;
using Methods = std::set<std::string>;

// What each role may do beside what those before it may: written by hand here, so that a change of
// the table is a change of two files.
const Methods kReaders = {"DescribeFileSystems",
                          "DescribeMountTargets",
                          "DescribeMountTargetSecurityGroups",
                          "DescribeAccessPoints",
                          "DescribeLifecycleConfiguration",
                          "DescribeFileSystemPolicy",
                          "ListTagsForResource",
                          "DescribeScrub"};
const Methods kProvisioners = {"CreateAccessPoint", "UpdateAccessPoint", "DeleteAccessPoint"};
const Methods kOperators = {"UpdateFileSystem",
                            "CreateMountTarget",
                            "ModifyMountTargetSecurityGroups",
                            "PutLifecycleConfiguration",
                            "PutFileSystemPolicy",
                            "DeleteFileSystemPolicy",
                            "TagResource",
                            "UntagResource",
                            "DescribeKeys",
                            "DescribeAccessDecisions",
                            "ExplainAccess"};

Methods AllMethods() {
  const auto* service =
      v1::CreateFileSystemRequest::descriptor()->file()->FindServiceByName("Control");
  Methods all;
  for (int i = 0; i < service->method_count(); ++i) all.insert(service->method(i)->name());
  return all;
}

Methods operator+(Methods a, const Methods& b) {
  a.insert(b.begin(), b.end());
  return a;
}

class AuthorisationTest : public ServedWorld {
 protected:
  std::shared_ptr<grpc::Channel> Over(const std::string& tls_dir) const {
    return rpcs::OpenChannel(Tcp(), tls_dir).value();
  }
  // A client with such a certificate of the server's authority.
  std::shared_ptr<grpc::Channel> As(rpcs::TestLeaf leaf) {
    std::string dir = dir_ + "/client" + std::to_string(++clients_);
    leaf.dns_name = "client.example";
    authority_.Issue(dir, leaf);
    return Over(dir);
  }
  std::shared_ptr<grpc::Channel> As(ControlRole role) { return As({.uris = {UriOf(role)}}); }

  // An empty request: where the caller is authorised, the method itself answers, mostly that
  // something is missing.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{10});
    grpc::CompletionQueue queue;
    grpc::ByteBuffer request, response;
    grpc::Slice nothing;
    request = grpc::ByteBuffer(&nothing, 1);
    grpc::Status status;
    auto call =
        stub.PrepareUnaryCall(&context, "/tarn.control.v1.Control/" + method, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return status;
  }
  static bool Denied(const grpc::Status& status) {
    return status.error_code() == grpc::StatusCode::PERMISSION_DENIED &&
           rpcs::FromStatus(status).api_name() == "AccessDenied";
  }
  static Methods Allowed(const std::shared_ptr<grpc::Channel>& channel) {
    Methods allowed;
    for (const std::string& method : AllMethods()) {
      grpc::Status status = Call(channel, method);
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAVAILABLE) << method;
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
      if (!Denied(status)) allowed.insert(method);
    }
    return allowed;
  }

  int clients_ = 0;
};

TEST_F(AuthorisationTest, EachMethodOfTheApiHasOneLeastRole) {
  Methods listed;
  for (const MethodRole& entry : kMethodRoles) {
    EXPECT_TRUE(listed.insert(std::string(entry.method)).second) << entry.method;
    EXPECT_NE(entry.least, ControlRole::kNone) << entry.method;
  }
  EXPECT_EQ(listed, AllMethods());
  EXPECT_FALSE(LeastRole("FormatDisk").has_value());
  EXPECT_EQ(Authorise({"CN=a", ControlRole::kAdmin}, "FormatDisk").code(), Code::kDenied);
}

TEST_F(AuthorisationTest, EachRoleMayDoWhatItMayAndNothingElse) {
  EXPECT_EQ(Allowed(As(ControlRole::kReader)), kReaders);
  EXPECT_EQ(Allowed(As(ControlRole::kProvisioner)), kReaders + kProvisioners);
  EXPECT_EQ(Allowed(As(ControlRole::kOperator)), kReaders + kProvisioners + kOperators);
  EXPECT_EQ(Allowed(As(ControlRole::kAdmin)), AllMethods());
  EXPECT_EQ(Allowed(rpcs::OpenChannel(Socket(), "").value()), AllMethods());
}

TEST_F(AuthorisationTest, WhatIsNoRoleOfOursMayDoNothing) {
  const std::string admin = UriOf(ControlRole::kAdmin);
  const std::vector<std::vector<std::string>> without = {
      {},
      {"spiffe://tarn.dev/control/root"},
      {"spiffe://tarn.dev/control/"},
      {"spiffe://tarn.dev/control/admin/"},
      {"spiffe://tarn.dev/control/Admin"},
      {"spiffe://elsewhere.example/control/admin"},
      {"https://tarn.dev/control/admin"},
      {admin, UriOf(ControlRole::kReader)},
      {admin, "https://other.example/"},
  };
  for (const auto& uris : without) {
    EXPECT_EQ(Allowed(As({.uris = uris})), Methods()) << testing::PrintToString(uris);
  }
  EXPECT_EQ(Allowed(As({.uris = {}, .common_name = admin})), Methods());
}

TEST_F(AuthorisationTest, TheSharedCertificateOfOldIsAProvisioner) {
  EXPECT_EQ(Allowed(As({.uris = {}, .common_name = "tarn-control-client"})),
            kReaders + kProvisioners);
  EXPECT_EQ(Allowed(As({.uris = {"spiffe://tarn.dev/control/none"},
                        .common_name = "tarn-control-client"})),
            Methods());
}

TEST_F(AuthorisationTest, NoRoleHelpsACertificateThatDoesNotCount) {
  const std::string admin = UriOf(ControlRole::kAdmin);
  auto unavailable = [](const std::shared_ptr<grpc::Channel>& channel) {
    return Call(channel, "DescribeFileSystems").error_code() == grpc::StatusCode::UNAVAILABLE;
  };
  EXPECT_TRUE(unavailable(As({.uris = {admin}, .seconds_left = -60})));  // expired
  EXPECT_TRUE(unavailable(As({.uris = {admin}, .client = false})));      // a server's
  rpcs::TestAuthority other;
  other.Issue(dir_ + "/stranger", {.uris = {admin}});
  std::filesystem::copy_file(dir_ + "/server/ca.crt", dir_ + "/stranger/ca.crt",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(unavailable(Over(dir_ + "/stranger")));
}

TEST_F(AuthorisationTest, ARefusalSaysWhatIsMissingAndIsAudited) {
  std::ostringstream log;
  auto logger = std::make_shared<spdlog::logger>(
      "audit test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
  logger->set_pattern("%v");
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(logger);
  grpc::Status provisioner = Call(As(ControlRole::kProvisioner), "DeleteFileSystem");
  grpc::Status nobody = Call(As(rpcs::TestLeaf{}), "DescribeFileSystems");
  spdlog::set_default_logger(before);
  EXPECT_EQ(provisioner.error_message(),
            "DeleteFileSystem needs the role admin; CN=test leaf has provisioner");
  EXPECT_THAT(nobody.error_message(),
              HasSubstr("DescribeFileSystems needs the role reader; CN=test leaf has none"));
  EXPECT_THAT(nobody.error_message(), HasSubstr("spiffe://tarn.dev/control/reader"));
  std::istringstream lines(log.str());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["audit"], "DeleteFileSystem");
  EXPECT_EQ(first["result"], "AccessDenied");
  EXPECT_EQ(first["layer"], "role");
  EXPECT_EQ(first["role"], "provisioner");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line)["role"], "none");
}

// The mode of the socket is what makes everybody there an admin.
TEST_F(AuthorisationTest, NoOtherUserReachesTheSocket) {
  if (getuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  std::filesystem::permissions(dir_, std::filesystem::perms::all);
  const std::string path = Socket();
  auto refused = [&](uid_t uid) {
    pid_t child = fork();
    if (child == 0) {
      sockaddr_un at{};
      at.sun_family = AF_UNIX;
      path.copy(at.sun_path, sizeof at.sun_path - 1);
      int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      bool ok = setgid(uid) == 0 && setuid(uid) == 0 &&
                connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
      _exit(ok ? 0 : errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) == EACCES;
  };
  EXPECT_FALSE(refused(0));
  EXPECT_TRUE(refused(65534));
}

}  // namespace
}  // namespace tarn::control
