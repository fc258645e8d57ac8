// TLS under many clients, and under those who mean harm.
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "common/sanitized.h"
#include "server/rpc/testing/tls.h"

namespace tarn::rpc {
namespace {

using namespace testing;
using std::chrono::milliseconds;

class RpcTlsLoad : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcTlsLoad, ::testing::Bool());

// The beginning of a handshake, and no more.
Bytes HalfHello() {
  Bytes hello;
  for (int byte : {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}) {
    hello.push_back(static_cast<std::byte>(byte));
  }
  return hello;
}

void RaiseFileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_P(RpcTlsLoad, ClientsThatStopInTheHandshakeAreDroppedWhileOthersWork) {
  ServerOptions options;
  options.handshakes.timeout = milliseconds(3000);
  options.workers_max = 2;
  TlsServer server(options);
  std::vector<std::unique_ptr<RawClient>> stopped;
  for (int i = 0; i < 20; ++i) {
    stopped.push_back(std::make_unique<RawClient>(server.port));
    ASSERT_TRUE(stopped.back()->Send(i % 2 == 0 ? HalfHello() : Bytes{std::byte{0x16}}));
  }
  // One that sends a byte now and then gets no more time.
  std::thread slow([&server] {
    RawClient client(server.port);
    for (std::byte byte : HalfHello()) {
      if (!client.Send({byte})) break;
      usleep(500'000);
    }
    EXPECT_TRUE(client.AtEnd());
  });
  TlsClient good(server.port, server.client());
  ASSERT_TRUE(good.Handshake());
  while (server.failed(HandshakeFailure::kDeadline) < 21) ASSERT_TRUE(good.Ping());
  slow.join();
  for (auto& client : stopped) EXPECT_TRUE(client->AtEnd());
  EXPECT_TRUE(good.Ping()) << "a done handshake has no deadline";
  EXPECT_TRUE(Eventually([&server] { return server.server->counters().connections == 1; }));
}

TEST_P(RpcTlsLoad, ThousandsOfHalfOpenHandshakesKeepNobodyOut) {
  constexpr size_t kFlood = kSanitized ? 1000 : 5000;
  RaiseFileLimit();
  ServerOptions options;
  options.handshakes.all_max = kFlood / 10;
  options.handshakes.per_address_max = kFlood / 10;
  options.handshakes.timeout = milliseconds(3000);
  TlsServer server(options);
  std::vector<std::unique_ptr<RawClient>> flood;
  for (size_t i = 0; i < kFlood; ++i) {
    flood.push_back(std::make_unique<RawClient>(server.port));
    ASSERT_TRUE(flood.back()->connected());
    flood.back()->Send(HalfHello());
  }
  // From the same address, even: those before have had their time when this one comes.
  EXPECT_TRUE(Eventually([&server] {
    TlsClient client(server.port, server.client());
    return client.Handshake() && client.Ping();
  }));
  RawClient plain(server.port);
  EXPECT_TRUE(plain.Ping());
  EXPECT_LE(server.server->counters().handshakes_open, kFlood / 10);
  EXPECT_TRUE(Eventually([&server] { return server.server->counters().connections <= 2; }));
  uint64_t failed = server.failed(HandshakeFailure::kDeadline) +
                    server.failed(HandshakeFailure::kLimit) +
                    server.failed(HandshakeFailure::kClosed);
  EXPECT_GE(failed, kFlood);
}

TEST_P(RpcTlsLoad, EndlessHandshakesAreCut) {
  TlsServer server;
  RawClient client(server.port);
  // Well-formed TLS records of a ClientHello that announces 16 MiB less one byte.
  Bytes bytes;
  for (int byte : {0x16, 0x03, 0x01, 0x00, 0x04, 0x01, 0xff, 0xff, 0xff}) {
    bytes.push_back(static_cast<std::byte>(byte));
  }
  client.Send(bytes);
  Bytes more{std::byte{0x16}, std::byte{0x03}, std::byte{0x01}, std::byte{0x40}, std::byte{0x00}};
  more.resize(5 + 0x4000);
  for (int i = 0; i < 100 && client.Send(more); ++i) {
  }
  EXPECT_TRUE(Eventually([&server] { return server.failed(HandshakeFailure::kProtocol) == 1; }));
  EXPECT_TRUE(Eventually([&server] { return server.server->counters().connections == 0; }));
}

TEST_P(RpcTlsLoad, BigCallsAndRepliesBothWaysAtOnce) {
  TlsServer server;
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server.port, server.client());
    SSL_set_max_proto_version(client.ssl(), version);
    ASSERT_TRUE(client.Handshake());
    // One object is for one thread; so this one sends and receives by turns, without waiting.
    constexpr uint32_t kCalls = kSanitized ? 10 : 60;
    Bytes out;
    for (uint32_t i = 0; i < kCalls; ++i) {
      Bytes text((1 << 20) - i, static_cast<std::byte>(i));
      Bytes call = Marked(CallBytes({.xid = i, .procedure = kEcho}, text));
      out.insert(out.end(), call.begin(), call.end());
    }
    fcntl(client.fd(), F_SETFL, fcntl(client.fd(), F_GETFL) | O_NONBLOCK);
    SSL_set_mode(client.ssl(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    Bytes in(size_t{kCalls} << 21);
    size_t sent = 0, received = 0, expected = 0;
    for (uint32_t i = 0; i < kCalls; ++i) expected += 32 + (((1U << 20) - i + 3) & ~3U);
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (received < expected && std::chrono::steady_clock::now() < give_up) {
      size_t done = 0;
      bool moved = sent < out.size() &&
                   SSL_write_ex(client.ssl(), out.data() + sent, out.size() - sent, &done) == 1;
      if (moved) sent += done;
      if (SSL_read_ex(client.ssl(), in.data() + received, in.size() - received, &done) == 1) {
        received += done;
        moved = true;
      }
      if (!moved) usleep(100);
    }
    ASSERT_EQ(received, expected);
    EXPECT_EQ(sent, out.size());
  }
}

TEST_P(RpcTlsLoad, KeyUpdatesThatTheClientDoesNotLookAt) {
  TlsServer server;
  TlsClient client(server.port, server.client(), 4096);
  ASSERT_TRUE(client.Handshake());
  ASSERT_TRUE(client.Ping());
  Bytes big = CallBytes({.procedure = kBig});
  PutMark(big, 1 << 20);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.Send(Marked(big)));
  for (int i = 0; i < 20; ++i) {
    SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    ASSERT_TRUE(client.Send(Marked(CallBytes({}))));
  }
  size_t bytes = 0;
  for (int i = 0; i < 24; ++i) bytes += client.ReceiveRecord().size();
  EXPECT_EQ(bytes, 4 * (28 + (size_t{1} << 20)) + 20 * 24);
}

TEST_P(RpcTlsLoad, SlowReaderHoldsNoWorker) {
  ServerOptions options;
  options.workers_min = 1;
  options.workers_max = 1;
  TlsServer server(options);
  TlsClient slow(server.port, server.client(), 4096);
  ASSERT_TRUE(slow.Handshake());
  Bytes big = CallBytes({.procedure = kBig});
  PutMark(big, 1 << 20);
  constexpr int kCalls = 12;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(slow.Send(Marked(big)));
  TlsClient quick(server.port, server.client());
  EXPECT_TRUE(quick.Handshake() && quick.Ping()) << "the only worker must not wait";
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(slow.ReceiveRecord().size(), 28 + (size_t{1} << 20));
  }
  EXPECT_TRUE(slow.Ping());
}

TEST_P(RpcTlsLoad, ClientThatTakesNoReplyOrStopsInARecordIsDropped) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(1);
  TlsServer server(options);
  TlsClient stuck(server.port, server.client(), 4096);
  TlsClient half(server.port, server.client());
  TlsClient idle(server.port, server.client());
  ASSERT_TRUE(stuck.Handshake() && half.Handshake() && idle.Handshake());
  Bytes big = CallBytes({.procedure = kBig});
  PutMark(big, 1 << 20);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(stuck.Send(Marked(big)));
  // A part of a TLS record: no byte of RPC has come.
  Bytes part{std::byte{0x17}, std::byte{0x03}, std::byte{0x03}, std::byte{0x10}, std::byte{0x00}};
  part.resize(100);
  ASSERT_TRUE(half.RawClient::Send(part));
  server.program.WaitClosed(2);
  EXPECT_TRUE(half.AtEnd());
  EXPECT_TRUE(idle.Ping());
}

TEST_P(RpcTlsLoad, ManyConnectionsAtOnceWithoutAMistake) {
  TlsServer server;
  constexpr int kThreads = 6;
  constexpr int kRounds = kSanitized ? 5 : 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&server, t] {
      for (int round = 0; round < kRounds; ++round) {
        TlsClient client(server.port, server.client());
        ASSERT_TRUE(client.Handshake());
        for (uint32_t i = 0; i < 5; ++i) {
          Bytes text(static_cast<size_t>((t * 10'000 + round * 777) % 60'000),
                     static_cast<std::byte>(t + round));
          ASSERT_TRUE(Echoes(client, i, text));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  server.program.WaitClosed(size_t{kThreads} * kRounds);
  EXPECT_EQ(server.server->counters().tls_connections, 0U);
}

TEST_P(RpcTlsLoad, ShutdownUnderLoad) {
  for (int round = 0; round < (kSanitized ? 2 : 5); ++round) {
    TlsServer server;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&server] {
        TlsClient client(server.port, server.client());
        Bytes text(100'000);
        while (client.Handshake() && !client.Call({.procedure = kEcho}, text).empty()) {
        }
      });
    }
    std::this_thread::sleep_for(milliseconds(30));
    server.server.reset();
    for (std::thread& thread : threads) thread.join();
  }
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t all = 0;
  size_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// The clients are in this process, too: what one costs by itself is taken off.
TEST_P(RpcTlsLoad, IdleConnectionsAreSmall) {
  constexpr int kIdle = kSanitized ? 50 : 1000;
  constexpr size_t kBytesEachMax = 64 * 1024;
  RaiseFileLimit();
  TlsServer server;
  ClientKey key({.access_point_id = "fsap-0123456789abcdef0", .token = std::string(1200, 't')});
  tls::ClientTlsOptions options = server.client(key);
  std::vector<std::unique_ptr<TlsClient>> clients;
  auto open = [&](int count) {
    size_t before = ResidentBytes();
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<TlsClient>(server.port, options));
      EXPECT_TRUE(clients.back()->Handshake() && clients.back()->Ping());
    }
    return (ResidentBytes() - before) / static_cast<size_t>(count);
  };
  open(kIdle / 10);
  size_t both = open(kIdle);
  RecordProperty("bytes_each_with_client", static_cast<int>(both));
  if (!kSanitized) {
    EXPECT_LT(both, 2 * kBytesEachMax);
  }
}

}  // namespace
}  // namespace tarn::rpc
