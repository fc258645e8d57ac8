// Mounts through the tunnel: bytes, servers that are away or are others, limits, restarts.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/tunnel/world.h"

namespace tarn::tunnel {
namespace {

using nfs_client::AsOpaque;
using testing::HasSubstr;

class TunnelTest : public testing::Test {
 protected:
  TunnelTest() { Start(place_.options()); }
  void Start(const Options& options) {
    auto started = Daemon::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().message();
    tunnel_ = std::move(started).value();
    client_ = std::make_unique<TunnelClient>(place_.socket());
  }
  v1::OpenMountResponse Open(const v1::OpenMountRequest& request) {
    auto opened = client_->Open(request);
    EXPECT_TRUE(opened.ok()) << opened.error().message();
    return opened.ok() ? *opened : v1::OpenMountResponse();
  }
  static std::unique_ptr<nfs_client::Client> Mount(const v1::OpenMountResponse& at) {
    auto mounted = nfs_client::Client::Mount(Through(at));
    EXPECT_TRUE(mounted.ok()) << "status " << static_cast<int>(mounted.status);
    return mounted.ok() ? std::move(mounted.value) : nullptr;
  }
  Place place_;
  FileServer server_;
  std::unique_ptr<Daemon> tunnel_;
  std::unique_ptr<TunnelClient> client_;
};

TEST_F(TunnelTest, CarriesAMount) {
  auto at = Open(RequestFor(server_, "pod-1"));
  EXPECT_EQ(at.address(), Place::Loopback());
  auto nfs = Mount(at);
  ASSERT_TRUE(nfs);
  auto root = nfs->Root();
  auto file = nfs->Create(root.value, "file");
  ASSERT_TRUE(file.ok());
  std::string data(1 << 20, 'x');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 4096);
  for (uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(nfs->Write(file.value.fh, file.value.state, i << 20, AsOpaque(data)).ok());
  }
  for (uint64_t i = 0; i < 4; ++i) {
    auto read = nfs->Read(file.value.fh, file.value.state, i << 20, 1 << 20);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(nfs_client::AsText(read.value.data), data);
  }
  v1::Mount mount = client_->Show("pod-1");
  EXPECT_EQ(mount.connections(), 1u);
  EXPECT_GT(mount.bytes_sent(), 4u << 20);
  EXPECT_GT(mount.bytes_received(), 4u << 20);
  EXPECT_GT(mount.certificate_not_after(), time(nullptr));
  EXPECT_EQ(mount.last_error(), "");
}

TEST_F(TunnelTest, OpeningAgainIsTheSameMount) {
  auto request = RequestFor(server_, "pod-1");
  auto first = Open(request);
  auto again = Open(request);
  EXPECT_EQ(first.port(), again.port());
  EXPECT_NE(first.port(), Open(RequestFor(server_, "pod-2")).port());
  EXPECT_EQ(client_->List().mounts_size(), 2);
}

// A mount's identity is not for every process that reaches its address.
TEST_F(TunnelTest, OtherUsersAreTurnedAway) {
  constexpr uid_t kOther = 65534;
  if (geteuid() != 0) return;  // only root becomes another
  auto at = Open(RequestFor(server_, "pod-1"));
  pid_t child = fork();
  if (child == 0) {
    if (setuid(kOther) != 0) _exit(2);
    Fd fd = ConnectTo(at);
    // Also what it sent before it closed its end.
    SendAll(fd.get(), NullCall(1));
    _exit(Closed(fd.get()) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(client_->Show("pod-1").bytes_sent(), 0u);
  EXPECT_TRUE(Mount(at));
}

TEST_F(TunnelTest, AClosedMountIsGone) {
  auto at = Open(RequestFor(server_, "pod-1"));
  Fd fd = ConnectTo(at);
  ASSERT_TRUE(fd.open());
  ASSERT_TRUE(Eventually([&] { return client_->Show("pod-1").connections() == 1; }));
  ASSERT_TRUE(client_->Close("pod-1").ok());
  EXPECT_TRUE(Closed(fd.get()));
  EXPECT_FALSE(ConnectTo(at).open());
  EXPECT_EQ(client_->List().mounts_size(), 0);
  EXPECT_TRUE(client_->Close("pod-1").ok());  // again
  EXPECT_TRUE(std::filesystem::is_empty(place_.state() + "/mounts"));
}

// Who still talks to it must not speak for the next pod.
TEST_F(TunnelTest, TheAddressOfAClosedMountIsNotGivenAgainAtOnce) {
  auto at = Open(RequestFor(server_, "pod-1"));
  ASSERT_TRUE(client_->Close("pod-1").ok());
  EXPECT_NE(Open(RequestFor(server_, "pod-2")).port(), at.port());
  EXPECT_FALSE(ConnectTo(at).open());
}

TEST_F(TunnelTest, WhatIsWrongInARequestIsNamed) {
  auto expect = [&](const std::string& field, auto change) {
    auto request = RequestFor(server_, "pod-1");
    change(request);
    auto opened = client_->Open(request);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.code(), Code::kInvalid);
    EXPECT_THAT(opened.error().message(), HasSubstr(field));
    EXPECT_THAT(opened.error().message(), testing::Not(HasSubstr("PRIVATE KEY")));
  };
  expect("mount_id", [](auto& request) { request.set_mount_id("../pod"); });
  expect("mount_id", [](auto& request) { request.set_mount_id(std::string(129, 'a')); });
  expect("servers", [](auto& request) { request.clear_servers(); });
  expect("servers", [](auto& request) { request.add_servers("nowhere"); });
  expect("servers", [](auto& request) { request.add_servers("host:0"); });
  expect("server_name", [](auto& request) { request.set_server_name("a b"); });
  expect("authority_pem", [](auto& request) { request.set_authority_pem("none"); });
  expect("certificate_pem", [](auto& request) { request.clear_certificate_pem(); });
  expect("certificate_pem", [](auto& request) { request.set_certificate_pem("none"); });
  expect("private_key_pem", [](auto& request) { request.clear_private_key_pem(); });
  expect("private_key_pem",
         [](auto& request) { request.set_private_key_pem(NewClientCertificate().key); });
  EXPECT_EQ(client_->List().mounts_size(), 0);
}

TEST_F(TunnelTest, AServerWithAnotherNameIsNotTalkedTo) {
  auto request = RequestFor(server_, "pod-1");
  request.set_server_name("fs-00000000000000000.efs.tarn");
  Fd fd = ConnectTo(Open(request));
  EXPECT_TRUE(Closed(fd.get()));
  EXPECT_THAT(client_->Show("pod-1").last_error(), HasSubstr("its certificate is refused"));
}

TEST_F(TunnelTest, AServerOfAnotherAuthorityIsNotTalkedTo) {
  rpcs::TestAuthority other;
  daemon::TempDir dir;
  other.Issue(dir.path());
  auto request = RequestFor(server_, "pod-1");
  request.set_authority_pem(FileText(dir / "ca.crt"));
  Fd fd = ConnectTo(Open(request));
  EXPECT_TRUE(Closed(fd.get()));
  EXPECT_THAT(client_->Show("pod-1").last_error(), HasSubstr("its certificate is refused"));
}

TEST_F(TunnelTest, TheNextServerIsAskedWhenTheFirstIsAway) {
  auto request = RequestFor(server_, "pod-1");
  request.clear_servers();
  request.add_servers("127.0.0.1:1");
  request.add_servers("no-such-host.invalid:2049");
  request.add_servers(server_.address());
  auto nfs = Mount(Open(request));
  ASSERT_TRUE(nfs);
  EXPECT_TRUE(nfs->Root().ok());
}

TEST_F(TunnelTest, AnIdleClientDoesNotNoticeARestartOfItsServer) {
  auto nfs = Mount(Open(RequestFor(server_, "pod-1")));
  ASSERT_TRUE(nfs);
  uint16_t port = server_.port();
  server_.Stop();
  server_.Start(port);
  // Over the same connection.
  EXPECT_EQ(nfs->Renew(), nfs4::NFS4_OK);
  EXPECT_EQ(client_->Show("pod-1").connections(), 1u);
}

TEST_F(TunnelTest, AClientOfADeadServerIsToldToComeAgain) {
  auto at = Open(RequestFor(server_, "pod-1"));
  uint16_t port = server_.port();
  server_.Stop();
  auto begin = std::chrono::steady_clock::now();
  Fd fd = ConnectTo(at);
  ASSERT_TRUE(fd.open());
  EXPECT_TRUE(Closed(fd.get()));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{1000});
  EXPECT_THAT(client_->Show("pod-1").last_error(), HasSubstr(server_.address()));
  server_.Start(port);
  ASSERT_TRUE(Mount(at));
  EXPECT_EQ(client_->Show("pod-1").last_error(), "");
}

TEST_F(TunnelTest, ConnectionsOfAMountAreLimited) {
  auto at = Open(RequestFor(server_, "pod-1"));
  std::vector<Fd> clients;
  for (size_t i = 0; i < kConnectionsPerMountMax; ++i) clients.push_back(ConnectTo(at));
  ASSERT_TRUE(
      Eventually([&] { return client_->Show("pod-1").connections() == kConnectionsPerMountMax; }));
  EXPECT_TRUE(Closed(ConnectTo(at).get()));
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return client_->Show("pod-1").connections() == 0; }));
  EXPECT_TRUE(Mount(at));
}

TEST_F(TunnelTest, MountsAreOpenAgainAfterARestart) {
  auto first = Open(RequestFor(server_, "pod-1"));
  auto second = Open(RequestFor(server_, "pod-2"));
  tunnel_.reset();
  EXPECT_FALSE(ConnectTo(first).open());
  std::ofstream(place_.state() + "/mounts/broken") << "x";
  std::ofstream(place_.state() + "/mounts/.pod-3") << "x";
  Start(place_.options());
  EXPECT_EQ(client_->List().mounts_size(), 2);
  EXPECT_EQ(client_->Show("pod-1").port(), first.port());
  EXPECT_EQ(client_->Show("pod-2").port(), second.port());
  EXPECT_TRUE(Mount(first));
  EXPECT_FALSE(std::filesystem::exists(place_.state() + "/mounts/.pod-3"));
  // And again the same mount.
  EXPECT_EQ(Open(RequestFor(server_, "pod-1")).port(), first.port());
}

TEST_F(TunnelTest, AnAddressThatSomebodyElseHasIsTakenWhenItIsFree) {
  auto at = Open(RequestFor(server_, "pod-1"));
  tunnel_.reset();
  int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(at.port()));
  inet_pton(AF_INET, at.address().c_str(), &to.sin_addr);
  ASSERT_EQ(bind(other, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  ASSERT_EQ(listen(other, 1), 0);
  Start(place_.options());
  EXPECT_THAT(client_->Show("pod-1").last_error(), HasSubstr("cannot listen"));
  close(other);
  tunnel_->Tick();
  EXPECT_TRUE(Mount(at));
}

TEST_F(TunnelTest, KeysAreForTheOwnerOnly) {
  auto request = RequestFor(server_, "pod-1");
  Open(request);
  struct stat info {};
  ASSERT_EQ(stat(place_.state().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat((place_.state() + "/mounts/pod-1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(place_.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

// Sends `calls` again and again until nothing was taken for half a second; how many bytes were.
size_t SendUntilNobodyTakesIt(int fd, const std::string& calls) {
  size_t sent = 0;
  for (int idle = 0; idle < 50;) {
    size_t from = sent % calls.size();
    ssize_t took = send(fd, calls.data() + from, calls.size() - from, MSG_DONTWAIT);
    if (took > 0) sent += static_cast<size_t>(took);
    idle = took > 0 ? 0 : idle + 1;
    if (took <= 0) usleep(10'000);
  }
  return sent;
}

// What waits for a server is in the bound of what all connections keep, as ciphertext too, and is
// not in it any more when the server goes on, or the connection ends.
TEST_F(TunnelTest, WhatAServerDoesNotTakeIsCounted) {
  const uint16_t metrics = 9810;
  tunnel_.reset();
  Options options = place_.options();
  options.metrics = options.loopback + ":" + std::to_string(metrics);
  Start(options);
  auto kept = [&] { return MetricAt(options.loopback, metrics, "tarn_tunnel_kept_bytes"); };
  auto at = Open(RequestFor(server_, "pod-1"));
  std::string calls;
  for (int i = 0; i < 1000; ++i) calls += NullCall(7);
  for (bool goes_on : {true, false}) {
    Fd client = ConnectTo(at);
    SendAll(client.get(), NullCall(1));
    ReceiveExactly(client.get(), kNullReplyBytes);
    EXPECT_EQ(kept(), 0u);
    server_.Signal(SIGSTOP);
    SendUntilNobodyTakesIt(client.get(), calls);
    EXPECT_GT(kept(), 0u) << "else it would take more; how much is chance";
    EXPECT_LT(kept(), 2 * (kPieceBytes + 4096));
    if (goes_on) server_.Signal(SIGCONT);
    std::vector<char> answers(1 << 16);
    while (goes_on && recv(client.get(), answers.data(), answers.size(), MSG_DONTWAIT) != 0 &&
           kept() > 0) {
      usleep(1000);
    }
    if (!goes_on) client.Close();
    EXPECT_TRUE(Eventually([&] { return kept() == 0; }));
    server_.Signal(SIGCONT);
  }
}

// Both directions stand still, nothing is lost, nobody else waits.
TEST_F(TunnelTest, AClientThatReadsNothingKeepsNobodyElse) {
  auto at = Open(RequestFor(server_, "pod-1"));
  Fd slow = ConnectTo(at);
  const std::string call = NullCall(7);
  std::string calls;
  for (int i = 0; i < 1000; ++i) calls += call;
  size_t sent = SendUntilNobodyTakesIt(slow.get(), calls);
  EXPECT_GT(sent, 1u << 20);
  auto nfs = Mount(at);
  EXPECT_TRUE(nfs->Root().ok());
  // It reads after all: an answer to each whole call.
  size_t expected = sent / call.size() * kNullReplyBytes;
  std::vector<char> buffer(1 << 16);
  size_t received = 0;
  while (received < expected) {
    ssize_t got = recv(slow.get(), buffer.data(), buffer.size(), 0);
    ASSERT_GT(got, 0) << received << " of " << expected;
    received += static_cast<size_t>(got);
  }
  EXPECT_EQ(received, expected);
}

}  // namespace
}  // namespace tarn::tunnel
