// tarn-server as a process: start errors, signals, restarts, its endpoints.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/control.grpc.pb.h"
#include "common/control_role.h"
#include "common/grpc/channel.h"
#include "common/grpc/testing/certificates.h"
#include "common/sanitized.h"
#include "server/daemon/testing/server_process.h"
#include "tests/nfs/client/client.h"

namespace tarn::daemon {
namespace {

namespace pb = control::v1;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kFileSystem[] = "fs-0123456789abcdef0";

class Process : public testing::Test {
 protected:
  std::vector<std::string> Arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"--data-dir", dir_ / "data", "--listen", "127.0.0.1:0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::shared_ptr<grpc::Channel> Socket() const {
    return rpcs::OpenChannel(dir_ / "data/control.sock", "").value();
  }

  static Result<pb::FileSystemDescription> Create(const std::shared_ptr<grpc::Channel>& channel,
                                                  const std::string& token) {
    auto stub = pb::Control::NewStub(channel);
    pb::CreateFileSystemRequest request;
    request.set_creation_token(token);
    pb::FileSystemDescription response;
    TRY(rpcs::Call(*stub, &pb::Control::Stub::CreateFileSystem, request, response, seconds{10}));
    return response;
  }

  // What the server answers to `bytes` on a new connection, up to `size`.
  static std::string Exchange(uint16_t port, const std::string& bytes, size_t size) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval timeout{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
        write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
      char buffer[4096];
      ssize_t got = 0;
      while (answer.size() < size && (got = read(fd, buffer, sizeof buffer)) > 0) {
        answer.append(buffer, static_cast<size_t>(got));
      }
    }
    close(fd);
    return answer;
  }
  static std::string HttpGet(uint16_t port, const std::string& path) {
    return Exchange(port, "GET " + path + " HTTP/1.0\r\n\r\n", 1 << 20);
  }
  // NULL of NFS version 4: record mark, xid, CALL, RPC 2, program, version, procedure, AUTH_NONE
  // twice (RFC 5531 section 9). True when it was accepted with SUCCESS.
  static bool NfsAnswers(uint16_t port) {
    std::string call;
    for (uint32_t word : {0x80000000u | 40, 7u, 0u, 2u, 100003u, 4u, 0u, 0u, 0u, 0u, 0u}) {
      uint32_t big = htonl(word);
      call.append(reinterpret_cast<const char*>(&big), sizeof big);
    }
    std::string reply = Exchange(port, call, 28);
    return reply.size() == 28 &&
           reply.substr(8) == std::string("\0\0\0\1", 4) + std::string(16, '\0');
  }

  TempDir dir_;
};

// One line that begins with the program's name and has the words in it; exit code 1.
void ExpectRefused(std::vector<std::string> arguments, const std::string& words) {
  ServerProcess server(TARN_SERVER, std::move(arguments));
  EXPECT_EQ(server.Wait(), 1);
  std::string output = server.Output();
  size_t line = output.rfind("tarn-server: ");
  ASSERT_NE(line, std::string::npos) << output;
  EXPECT_THAT(output.substr(line), HasSubstr(words));
  EXPECT_EQ(std::count(output.begin() + static_cast<ssize_t>(line), output.end(), '\n'), 1);
}

TEST_F(Process, BadFlagsEndItWithOneLine) {
  ExpectRefused({}, "--data-dir is missing");
  ExpectRefused(Arguments({"--listen", "nowhere"}), "--listen");
  ExpectRefused(Arguments({"--log-level", "loud"}), "--log-level");
  ExpectRefused(Arguments({"--listen", "203.0.113.1:2049"}), "--listen");
}

TEST_F(Process, WhatItCannotUseIsNamed) {
  std::ofstream(dir_ / "file") << "x";
  ExpectRefused({"--data-dir", dir_ / "file", "--listen", "127.0.0.1:0"}, "--data-dir");
  ExpectRefused(Arguments({"--control-listen", "127.0.0.1:0", "--control-tls-dir", dir_ / "none"}),
                "ca.crt");
  ServerProcess other(TARN_SERVER, {"--data-dir", dir_ / "other", "--listen", "127.0.0.1:0"});
  ASSERT_TRUE(other.WaitServing());
  std::string taken = "127.0.0.1:" + std::to_string(other.nfs_port());
  ExpectRefused({"--data-dir", dir_ / "data", "--listen", taken}, "--listen " + taken);
  ExpectRefused(Arguments({"--http-listen", taken}), "--http-listen");
}

// EFS takes 25,000 connections; a system that allows fewer is told of at once.
TEST_F(Process, TooFewOpenFilesAreToldAtTheStart) {
  std::vector<std::string> arguments = Arguments();
  arguments.insert(arguments.begin(), {"-c", "ulimit -n 2048 && exec \"$@\"", "sh", TARN_SERVER});
  ServerProcess server("/bin/sh", arguments);
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  EXPECT_TRUE(NfsAnswers(server.nfs_port()));
  EXPECT_THAT(server.Output(), HasSubstr("the limit of 2048 open files allows 1"));
  EXPECT_THAT(server.Output(), HasSubstr("connections, not 25000: raise it (ulimit -Hn)"));
}

TEST_F(Process, HelpAndVersionSucceed) {
  ServerProcess help(TARN_SERVER, {"--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_THAT(help.Output(), HasSubstr("--file-system-id"));
  ServerProcess version(TARN_SERVER, {"--version"});
  EXPECT_EQ(version.Wait(), 0);
  EXPECT_THAT(version.Output(), StartsWith("tarn-server "));
}

TEST_F(Process, ServesAllItsEndpointsAndStopsOnSigterm) {
  ServerProcess server(
      TARN_SERVER, Arguments({"--file-system-id", kFileSystem, "--http-listen", "127.0.0.1:0"}));
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  EXPECT_TRUE(NfsAnswers(server.nfs_port()));
  EXPECT_THAT(HttpGet(server.http_port(), "/healthz"), EndsWith("ok\n"));
  EXPECT_THAT(HttpGet(server.http_port(), "/readyz"), HasSubstr("200 OK"));
  std::string metrics = HttpGet(server.http_port(), "/metrics");
  EXPECT_THAT(metrics, HasSubstr("tarn_file_system_files{file_system_id=\"" +
                                 std::string(kFileSystem) + "\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("# TYPE tarn_rpc_calls_total counter\n"));
  EXPECT_THAT(metrics, HasSubstr("tarn_connections_accepted_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("tarn_damaged_blocks_total 0\n"));
  EXPECT_THAT(metrics, HasSubstr("tarn_disk_errors_total{call=\"sync\"} 0\n"));
  EXPECT_THAT(HttpGet(server.http_port(), "/other"), HasSubstr("404"));
  auto made = Create(Socket(), "one");
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  EXPECT_THAT(server.Output(), HasSubstr("\"audit\":\"CreateFileSystem\""));
  auto begin = std::chrono::steady_clock::now();
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds{3} * kSlowness);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "data/control.sock"));
}

TEST_F(Process, AClientThatIsIdleDoesNotHoldUpTheStop) {
  ServerProcess server(TARN_SERVER, Arguments());
  ASSERT_TRUE(server.WaitServing());
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server.nfs_port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  auto channel = Socket();
  ASSERT_TRUE(Create(channel, "one").ok());
  server.Signal(SIGINT);
  EXPECT_EQ(server.Wait(), 0);
  close(fd);
}

TEST_F(Process, TheControlApiOverTcpWantsACertificate) {
  rpcs::TestAuthority ours;
  rpcs::TestAuthority theirs;
  ours.Issue(dir_ / "server");
  ours.Issue(dir_ / "client", {.uris = {UriOf(ControlRole::kAdmin)}});
  ours.Issue(dir_ / "no role");
  theirs.Issue(dir_ / "stranger", {.uris = {UriOf(ControlRole::kAdmin)}});
  ServerProcess server(TARN_SERVER, Arguments({"--control-listen", "127.0.0.1:0",
                                               "--control-tls-dir", dir_ / "server"}));
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  std::string address = "127.0.0.1:" + std::to_string(server.control_port());
  EXPECT_TRUE(Create(rpcs::OpenChannel(address, dir_ / "client").value(), "one").ok());
  EXPECT_FALSE(Create(rpcs::OpenChannel(address, dir_ / "stranger").value(), "two").ok());
  EXPECT_EQ(Create(rpcs::OpenChannel(address, dir_ / "no role").value(), "two").code(),
            Code::kDenied);
}

TEST_F(Process, NfsOverTlsWherePlainNfsIsRefused) {
  rpcs::TestAuthority authority;
  authority.Issue(dir_ / "tls");
  ServerProcess server(
      TARN_SERVER, Arguments({"--file-system-id", kFileSystem, "--tls-dir", dir_ / "tls", "--tls",
                              "required", "--http-listen", "127.0.0.1:0"}));
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  EXPECT_FALSE(NfsAnswers(server.nfs_port()));
  nfs_client::ClientOptions options;
  options.port = server.nfs_port();
  for (bool rpc_with_tls : {false, true}) {
    options.owner += "+";
    std::ostringstream ca;
    ca << std::ifstream(dir_ / "tls/ca.crt").rdbuf();
    options.tls = tls::ClientTlsOptions{.ca_pem = ca.str(), .rpc_with_tls = rpc_with_tls};
    auto client = nfs_client::Client::Mount(options);
    ASSERT_TRUE(client.ok()) << rpc_with_tls << server.Output();
    EXPECT_TRUE((*client)->Root().ok());
  }
  std::string metrics = HttpGet(server.http_port(), "/metrics");
  EXPECT_THAT(metrics, HasSubstr("tarn_tls_handshakes_total 2\n"));
  EXPECT_THAT(metrics, HasSubstr("tarn_connections_turned_away_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("tarn_tls_handshakes_failed_total{reason=\"deadline\"} 0\n"));
}

#if !TARN_SANITIZED  // sanitizers need more system calls
TEST_F(Process, EachOfItsThreadsIsRestricted) {
  {
    ServerProcess server(TARN_SERVER, Arguments());
    ASSERT_TRUE(server.WaitServing()) << server.Output();
    EXPECT_EQ(OfThreads(server.pid(), "Seccomp"), std::set<std::string>{"2"});
    EXPECT_EQ(OfThreads(server.pid(), "NoNewPrivs"), std::set<std::string>{"1"});
  }
  ServerProcess open(TARN_SERVER, Arguments({"--no-syscall-filter"}));
  ASSERT_TRUE(open.WaitServing()) << open.Output();
  EXPECT_EQ(OfThreads(open.pid(), "NoNewPrivs"), OfThreads(getpid(), "NoNewPrivs"));
}
#endif

TEST_F(Process, ASecondProcessOnOneDirectoryIsRefused) {
  ServerProcess first(TARN_SERVER, Arguments());
  ASSERT_TRUE(first.WaitServing()) << first.Output();
  ExpectRefused(Arguments(), "--data-dir");
  EXPECT_TRUE(Create(Socket(), "one").ok());
}

TEST_F(Process, AfterKillItServesTheSameInUnderASecond) {
  std::string id;
  {
    ServerProcess server(TARN_SERVER, Arguments({"--file-system-id", kFileSystem}));
    ASSERT_TRUE(server.WaitServing()) << server.Output();
    id = Create(Socket(), "one")->file_system_id();
    server.Signal(SIGKILL);
    EXPECT_EQ(server.Wait(), 128 + SIGKILL);
  }
  auto begin = std::chrono::steady_clock::now();
  ServerProcess server(TARN_SERVER, Arguments({"--file-system-id", kFileSystem}));
  ASSERT_TRUE(server.WaitServing()) << server.Output();
  auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(Create(Socket(), "one")->file_system_id(), id);
  EXPECT_TRUE(NfsAnswers(server.nfs_port()));
  EXPECT_LT(took, seconds{3} * kSlowness);  // under a second alone; the machine may be busy
}

TEST_F(Process, PreparesItsDirectoryAndExits) {
  std::string owner = std::to_string(getuid()) + ":" + std::to_string(getgid());
  ServerProcess server(TARN_SERVER, {"--data-dir", dir_ / "new/data", "--prepare-data-dir", owner});
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_EQ(std::filesystem::status(dir_ / "new/data").permissions(),
            std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace tarn::daemon
