// TLS with clients that others wrote: OpenSSL's own, and stunnel.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>

#include "server/rpc/testing/tls.h"

namespace tarn::rpc {
namespace {

using namespace testing;

class RpcTlsPeers : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcTlsPeers, ::testing::Values(true));

// A program whose standard input and output are one end of a socket pair.
class Peer {
 public:
  explicit Peer(std::vector<std::string> words) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0)
        << words[0] << " is missing: hack/deps.sh test";
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    client_ = std::make_unique<RawClient>(RawClient::Adopt{ends[0]});
  }
  ~Peer() {
    client_ = nullptr;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  RawClient& client() { return *client_; }

 private:
  pid_t pid_ = -1;
  std::unique_ptr<RawClient> client_;
};

bool Echoes(RawClient& client, size_t size) {
  Bytes text(size);
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<std::byte>(i * 7 + i / 251);
  Bytes record = client.Call({.procedure = kEcho}, text);
  ReplyShape reply = Parse(record);
  xdr::Decoder from(reply.rest);
  xdr::Opaque back;
  return reply.ok && from.GetOpaque(back, UINT32_MAX) && std::ranges::equal(back, text);
}

std::vector<std::string> SClient(const TlsServer& server, const std::string& version) {
  return {"openssl",
          "s_client",
          "-quiet",
          "-connect",
          "localhost:" + std::to_string(server.port),
          version,
          "-CAfile",
          server.path() + "/ca.crt",
          "-verify_return_error",
          "-verify_hostname",
          "localhost"};
}

TEST_P(RpcTlsPeers, OpensslClient) {
  TlsServer server;
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    Peer peer(SClient(server, version));
    for (size_t size : {10U, 5000U, 100'000U, 1U << 20}) {
      EXPECT_TRUE(Echoes(peer.client(), size)) << version << " " << size;
    }
  }
  auto words = SClient(server, "-tls1_3");
  words.insert(words.end(), {"-alpn", "sunrpc"});
  Peer named(words);
  EXPECT_TRUE(named.client().Ping());
  EXPECT_EQ(server.server->counters().handshakes_done, 3U);
}

TEST_P(RpcTlsPeers, OpensslClientThatIsTooOldOrSpeaksSomethingElse) {
  TlsServer server;
  auto refused = [&server](std::vector<std::string> more) {
    auto words = SClient(server, more.front());
    words.insert(words.end(), more.begin() + 1, more.end());
    Peer peer(words);
    return peer.client().AtEnd();
  };
  EXPECT_TRUE(refused({"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}));
  EXPECT_TRUE(refused({"-tls1_3", "-alpn", "h2"}));
  EXPECT_TRUE(refused({"-tls1_2", "-cipher", "AES128-SHA"}));  // neither forward secret nor AEAD
  EXPECT_EQ(server.server->counters().handshakes_done, 0U);
}

TEST_P(RpcTlsPeers, Stunnel) {
  TlsServer server;
  ClientKey key({.access_point_id = "fsap-0123456789abcdef0"});
  std::string config = server.path() + "/stunnel.conf";
  std::ofstream(server.path() + "/client.pem") << key.certificate << key.key;
  std::ofstream(config) << "foreground = quiet\nclient = yes\nverifyChain = yes\n"
                        << "checkHost = localhost\nCAfile = " << server.path() << "/ca.crt\n"
                        << "cert = " << server.path() << "/client.pem\n"
                        << "connect = 127.0.0.1:" << server.port << "\n";
  Peer peer({"stunnel", config});
  for (size_t size : {10U, 5000U, 100'000U, 1U << 20}) {
    EXPECT_TRUE(Echoes(peer.client(), size)) << size;
  }
  EXPECT_EQ(server.server->counters().tls_connections, 1U);
}

}  // namespace
}  // namespace tarn::rpc
