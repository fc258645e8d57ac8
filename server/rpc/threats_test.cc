// What an attacker on the network tries against a listener; docs/security.md, "Threats".
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdlib>
#include <deque>
#include <thread>

#include "common/log_ration.h"
#include "common/sanitized.h"
#include "server/rpc/connection.h"
#include "server/rpc/testing/tls.h"

namespace tarn::rpc {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class RpcThreats : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcThreats, ::testing::Bool());

tls::Owned<EVP_PKEY> Read(const std::string& pem) {
  tls::Owned<BIO> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return tls::Owned<EVP_PKEY>(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

// The public half of one key with the private half of another: what somebody has to use who
// captured a certificate, but not its key.
std::string Mixed(const std::string& public_of, const std::string& private_of) {
  tls::Owned<EVP_PKEY> theirs = Read(public_of), own = Read(private_of);
  unsigned char* point = nullptr;
  size_t size = EVP_PKEY_get1_encoded_public_key(theirs.get(), &point);
  BIGNUM* secret = nullptr;
  EVP_PKEY_get_bn_param(own.get(), OSSL_PKEY_PARAM_PRIV_KEY, &secret);
  OSSL_PARAM_BLD* build = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, size);
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* mixed = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &mixed, EVP_PKEY_KEYPAIR, parameters), 1);
  tls::Owned<BIO> out(BIO_new(BIO_s_mem()));
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(out.get(), mixed, nullptr, nullptr, 0, nullptr, nullptr),
            1);
  char* text = nullptr;
  auto length = static_cast<size_t>(BIO_get_mem_data(out.get(), &text));
  std::string pem(text, length);
  EVP_PKEY_free(mixed);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  BN_free(secret);
  OPENSSL_free(point);
  return pem;
}

TEST_P(RpcThreats, ACapturedCertificateIsWorthNothingWithoutItsKey) {
  TlsServer server;
  ClientKey victim({.access_point_id = "fsap-0123456789abcdef0", .token = "t"});
  TlsClient genuine(server.port, server.client(victim));
  ASSERT_TRUE(genuine.Handshake() && genuine.Ping());
  ClientKey attacker({});
  tls::ClientTlsOptions replayed = server.client(victim);
  replayed.key_pem = Mixed(victim.key, attacker.key);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    uint64_t before = server.failed(HandshakeFailure::kProtocol);
    TlsClient client(server.port, replayed);
    SSL_set_max_proto_version(client.ssl(), version);
    // In TLS 1.3 the client is done before the server has judged.
    EXPECT_FALSE(client.Handshake() && client.Ping()) << version;
    EXPECT_TRUE(
        Eventually([&] { return server.failed(HandshakeFailure::kProtocol) == before + 1; }));
  }
}

// A byte now and then is progress, but no record may take for ever: each could hold a megabyte.
TEST_P(RpcThreats, ARecordThatTricklesIsCutOff) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(3);  // this test may stand still for a second
  TlsServer server(options);
  TlsClient encrypted(server.port, server.client());
  ASSERT_TRUE(encrypted.Handshake());
  RawClient plain(server.port), good(server.port);
  const Bytes large = Marked(CallBytes({.procedure = kEcho}, Bytes(100'000)));
  const auto begin = Clock::now();
  bool plain_open = true, encrypted_open = true;
  for (size_t at = 0; (plain_open || encrypted_open) && at < 300; ++at) {
    if (plain_open) plain_open = plain.Send({large[at]});
    if (encrypted_open) encrypted_open = encrypted.Send({large[at]});
    EXPECT_TRUE(good.Ping());
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_FALSE(plain_open);
  EXPECT_FALSE(encrypted_open);
  EXPECT_GE(Clock::now() - begin, Connection::kRecordTimeouts * options.send_timeout / 2);
  EXPECT_TRUE(good.Ping());
}

// Calls one behind the other are each a record of their own, whatever all of them take.
TEST_P(RpcThreats, AStreamOfRecordsIsNoTrickle) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(3);
  TlsServer server(options);
  RawClient client(server.port);
  const Bytes call = Marked(CallBytes({}));
  const Bytes rest(call.begin() + 8, call.end());
  ASSERT_TRUE(client.Send(Bytes(call.begin(), call.begin() + 8)));
  // At every moment some record has begun.
  const auto until = Clock::now() + 5 * Connection::kRecordTimeouts * options.send_timeout / 4;
  while (Clock::now() < until) {
    Bytes more = rest;
    more.insert(more.end(), call.begin(), call.begin() + 8);
    ASSERT_TRUE(client.Send(more));
    ASSERT_FALSE(client.ReceiveRecord().empty());
    std::this_thread::sleep_for(milliseconds(100));
  }
}

TEST_P(RpcThreats, ClientsThatSendNonsenseFillNoLog) {
  std::ostringstream log;
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  constexpr int kClients = 300;
  const auto begin = Clock::now();
  {
    TlsServer server;
    for (int i = 0; i < kClients; ++i) {
      RawClient client(server.port);
      // No call; a record that is too large; no handshake.
      if (i % 3 == 0) client.Send(Marked(Bytes(40, std::byte{9})));
      if (i % 3 == 1) client.Send(Bytes(40, std::byte{0x7f}));
      if (i % 3 == 2) client.Send(Bytes(40, std::byte{0x16}));
      EXPECT_TRUE(client.AtEnd());
    }
  }
  spdlog::set_default_logger(before);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(Clock::now() - begin).count();
  const std::string text = log.str();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GT(lines, 0);
  EXPECT_LE(lines, (seconds + 1) * LogRation::kLinesPerSecond);
}

// In use by this process. (What it has from the system is several times as much after a while, as
// handshakes begin and end in the arenas of many threads; that ends at some 350 MiB.)
size_t AllocatedBytes() {
  return mallinfo2().uordblks;
}

// Connections from many addresses that begin a handshake and no more. Each is abandoned when the
// next thousand have been made.
class Flood {
 public:
  explicit Flood(uint16_t port) : port_(port) {}
  ~Flood() {
    for (int fd : open_) close(fd);
  }
  void One() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    linger at_once{.l_onoff = 1, .l_linger = 0};  // no TIME_WAIT: ports would run out
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    sockaddr_in from = At(0, static_cast<uint32_t>(made_ % kAddresses));
    sockaddr_in to = At(port_, 0);
    (void)bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof(from));
    (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    static constexpr unsigned char kHalf[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    send(fd, kHalf, sizeof(kHalf), MSG_NOSIGNAL);
    open_.push_back(fd);
    ++made_;
    if (open_.size() <= kOpen) return;
    close(open_.front());
    open_.pop_front();
  }
  uint64_t made() const { return made_; }

 private:
  static constexpr size_t kOpen = 1000;
  static constexpr uint32_t kAddresses = 200;
  // 127.0.0.1, and 127.0.1.0 and on.
  static sockaddr_in At(uint16_t port, uint32_t other) {
    uint32_t address = port != 0 ? INADDR_LOOPBACK : (127U << 24) + 256 + other;
    return {.sin_family = AF_INET,
            .sin_port = htons(port),
            .sin_addr = {.s_addr = htonl(address)},
            .sin_zero = {}};
  }
  const uint16_t port_;
  std::deque<int> open_;
  std::atomic<uint64_t> made_{0};
};

// TARN_HALF_OPEN=1000000 for the million; the suite has no time for it.
TEST(RpcThreatsAlone, HalfOpenHandshakesWithoutEnd) {
  const char* wanted = std::getenv("TARN_HALF_OPEN");
  const uint64_t attempts = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 3000;
  constexpr size_t kMemoryMax = size_t{2048} * 80 * 1024;  // of all that may be open at once
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  TlsServer server;
  TlsClient before(server.port, server.client());
  ASSERT_TRUE(before.Handshake() && before.Ping());
  const size_t allocated = AllocatedBytes();
  size_t most = 0;
  milliseconds longest{0};
  const auto begin = Clock::now();
  Flood flood(server.port);
  std::atomic<bool> done{false};
  std::thread flooding([&] {
    while (flood.made() < attempts) flood.One();
    done = true;
  });
  // Meanwhile honest clients come, and those that are there work.
  int honest = 0;
  do {
    auto came = Clock::now();
    EXPECT_TRUE(Eventually([&server] {
      TlsClient client(server.port, server.client());
      return client.Handshake() && client.Ping();
    }));
    longest = std::max(longest, std::chrono::duration_cast<milliseconds>(Clock::now() - came));
    ++honest;
    EXPECT_TRUE(before.Ping());
    ServerCounters counters = server.server->counters();
    EXPECT_LE(counters.handshakes_open, HandshakeLimits().all_max);
    most = std::max(most, AllocatedBytes());
  } while (!done);
  flooding.join();
  auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf(
      "%llu half-open handshakes in %.1f s; %d honest clients, the slowest in %lld ms; "
      "%.1f MiB more memory\n",
      static_cast<unsigned long long>(attempts), seconds, honest,
      static_cast<long long>(longest.count()),
      static_cast<double>(most - std::min(most, allocated)) / (1 << 20));
  if (!kSanitized) {
    EXPECT_LT(most, allocated + kMemoryMax);
  }
  EXPECT_LT(longest, std::chrono::seconds(20));
}

}  // namespace
}  // namespace tarn::rpc
