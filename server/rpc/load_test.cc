// The RPC server under many clients, slow clients, and its own end.
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "common/sanitized.h"
#include "server/rpc/testing.h"

namespace tarn::rpc {
namespace {

using namespace testing;

class RpcLoad : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcLoad, ::testing::Bool());
using Clock = std::chrono::steady_clock;

Bytes SizeArgument(uint32_t size) {
  Bytes bytes = CallBytes({.procedure = kBig});
  PutMark(bytes, size);
  return Marked(bytes);
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t all = 0;
  size_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// The best mean of a few batches: what the machine's other work does not spoil.
std::chrono::nanoseconds BestCall(RawClient& client) {
  constexpr int kBatches = 20;
  constexpr int kCalls = 50;
  auto best = std::chrono::nanoseconds::max();
  for (int batch = 0; batch < kBatches; ++batch) {
    auto start = Clock::now();
    for (int i = 0; i < kCalls; ++i) EXPECT_TRUE(client.Ping());
    best = std::min(best, std::chrono::nanoseconds(Clock::now() - start) / kCalls);
  }
  return best;
}

// A process that opens connections and holds them until told to go. Made before any thread is.
class IdleCrowd {
 public:
  explicit IdleCrowd(int connections) {
    EXPECT_EQ(pipe2(to_child_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(from_child_, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) Child(connections);
    close(to_child_[0]);
    close(from_child_[1]);
  }
  ~IdleCrowd() {
    close(to_child_[1]);
    close(from_child_[0]);
    waitpid(child_, nullptr, 0);
  }
  // True when all are open.
  bool Connect(uint16_t port) {
    char done = 0;
    return write(to_child_[1], &port, sizeof(port)) == sizeof(port) &&
           read(from_child_[0], &done, 1) == 1 && done == 'y';
  }

 private:
  [[noreturn]] void Child(int connections) {
    close(to_child_[1]);
    uint16_t port = 0;
    char done = 'y';
    if (read(to_child_[0], &port, sizeof(port)) != sizeof(port)) _exit(1);
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(port),
                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    for (int i = 0; i < connections; ++i) {
      int fd = socket(AF_INET, SOCK_STREAM, 0);
      if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) done = 'n';
    }
    if (write(from_child_[1], &done, 1) != 1) _exit(1);
    while (read(to_child_[0], &done, 1) > 0) {
    }
    _exit(0);
  }
  int to_child_[2] = {-1, -1};
  int from_child_[2] = {-1, -1};
  pid_t child_ = -1;
};

TEST_P(RpcLoad, TenThousandIdleConnectionsCostLittle) {
  constexpr int kIdle = kSanitized ? 1000 : 10'000;
  constexpr size_t kBytesEachMax = 2048;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  IdleCrowd crowd(kIdle);
  TestServer server;
  RawClient client(server.port);
  auto alone = BestCall(client);
  size_t before = ResidentBytes();
  ASSERT_TRUE(crowd.Connect(server.port));
  auto give_up = Clock::now() + std::chrono::seconds(20);
  while (server.server->counters().connections < kIdle + 1 && Clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(server.server->counters().connections, kIdle + 1U);
  size_t each = (std::max(ResidentBytes(), before) - before) / kIdle;
  auto crowded = BestCall(client);
  RecordProperty("bytes_each", static_cast<int>(each));
  RecordProperty("call_ns_alone", static_cast<int>(alone.count()));
  RecordProperty("call_ns_crowded", static_cast<int>(crowded.count()));
  if (!kSanitized) {
    EXPECT_LT(each, kBytesEachMax);
  }
  EXPECT_LT(crowded.count(), 2 * alone.count() + 50'000) << "alone " << alone.count() << " ns";
}

TEST_P(RpcLoad, SlowReaderHoldsNoWorker) {
  ServerOptions options;
  options.workers_min = 1;
  options.workers_max = 1;
  TestServer server(options);
  RawClient slow(server.port, 4096);
  constexpr int kCalls = 12;
  constexpr uint32_t kBytes = 1 << 20;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(slow.Send(SizeArgument(kBytes)));
  RawClient quick(server.port);
  EXPECT_TRUE(quick.Ping()) << "the only worker must not wait for the slow client";
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(slow.ReceiveRecord().size(), 24U + 4 + kBytes);
  }
  EXPECT_TRUE(slow.Ping());
}

TEST_P(RpcLoad, PendingBytesPauseReadingAndItGoesOn) {
  ServerOptions options;
  options.pending_bytes_per_connection_max = 100'000;
  TestServer server(options);
  RawClient slow(server.port, 4096);
  constexpr int kCalls = 400;
  constexpr uint32_t kBytes = 200'000;
  std::thread sender([&slow] {
    for (int i = 0; i < kCalls; ++i) EXPECT_TRUE(slow.Send(SizeArgument(kBytes)));
  });
  RawClient quick(server.port);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(quick.Ping());
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(slow.ReceiveRecord().size(), 24U + 4 + kBytes);
  sender.join();
}

TEST_P(RpcLoad, ClientThatTakesNoReplyOrStopsInARecordIsDropped) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(1);
  TestServer server(options);
  RawClient stuck(server.port, 4096);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(stuck.Send(SizeArgument(1 << 20)));
  // In one segment: what is not run yet must not hide from the limit.
  RawClient piped(server.port, 4096);
  Bytes calls;
  for (int i = 0; i < 12; ++i) {
    Bytes one = SizeArgument(1 << 20);
    calls.insert(calls.end(), one.begin(), one.end());
  }
  ASSERT_TRUE(piped.Send(calls));
  RawClient half(server.port);
  Bytes call = Marked(CallBytes({}));
  call.resize(10);
  ASSERT_TRUE(half.Send(call));
  RawClient idle(server.port);
  ASSERT_TRUE(idle.Ping());
  server.program.WaitClosed(3);
  EXPECT_TRUE(half.AtEnd());
  EXPECT_TRUE(idle.Ping()) << "an idle client is no stalled one";
}

// The rest of a record that is not read, since replies to earlier ones are still to be made, is not
// owed by the client.
TEST_P(RpcLoad, APauseOfTheServersIsNoStallOfTheClients) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(1);
  options.pending_bytes_per_connection_max = 1000;
  TestServer server(options);
  RawClient client(server.port);
  const Bytes call = Marked(CallBytes({}));
  Bytes first = Marked(CallBytes({.procedure = kBlock}, Bytes(2000)));
  first.insert(first.end(), call.begin(), call.begin() + 10);
  ASSERT_TRUE(client.Send(first));
  std::this_thread::sleep_for(5 * options.send_timeout);
  server.program.Release();
  EXPECT_FALSE(client.ReceiveRecord().empty());
  ASSERT_TRUE(client.Send(Bytes(call.begin() + 10, call.end())));
  EXPECT_FALSE(client.ReceiveRecord().empty());
}

TEST_P(RpcLoad, HalfClosedClientGetsItsReplies) {
  TestServer server;
  RawClient client(server.port, 4096);
  constexpr int kCalls = 8;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(client.Send(SizeArgument(1 << 20)));
  shutdown(client.fd(), SHUT_WR);
  for (int i = 0; i < kCalls; ++i) EXPECT_GT(client.ReceiveRecord().size(), size_t{1} << 20);
  EXPECT_TRUE(client.AtEnd());
  server.program.WaitClosed(1);
}

TEST_P(RpcLoad, ManyConnectionsAtOnceWithoutAMistake) {
  TestServer server;
  constexpr int kThreads = 8;
  constexpr int kRounds = kSanitized ? 20 : 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&server, t] {
      for (int round = 0; round < kRounds; ++round) {
        RawClient client(server.port);
        for (uint32_t i = 0; i < 5; ++i) {
          Bytes text(static_cast<size_t>((t * 1000 + round * 77) % 20'000),
                     static_cast<std::byte>(t + round));
          ASSERT_TRUE(Echoes(client, i, text));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  server.program.WaitClosed(size_t{kThreads} * kRounds);
  EXPECT_EQ(server.server->counters().calls, uint64_t{kThreads} * kRounds * 5);
  EXPECT_EQ(server.server->counters().connections, 0U);
}

TEST_P(RpcLoad, WorkersAreAddedForCallsThatWait) {
  ServerOptions options;
  options.workers_min = 2;
  options.workers_max = 64;
  TestServer server(options);
  RawClient waiting(server.port);
  constexpr int kCalls = 40;
  for (int i = 0; i < kCalls; ++i)
    ASSERT_TRUE(waiting.Send(Marked(CallBytes({.procedure = kBlock}))));
  server.program.WaitBlocked(kCalls);
  RawClient other(server.port);
  EXPECT_TRUE(other.Ping());
  server.program.Release();
  for (int i = 0; i < kCalls; ++i) EXPECT_FALSE(waiting.ReceiveRecord().empty());
}

TEST_P(RpcLoad, ACallThatWaitsKeepsNobodyBehindItWaiting) {
  TestServer server;
  RawClient client(server.port);
  Bytes calls;
  for (uint32_t i = 0; i < 10; ++i) {
    Bytes one = Marked(CallBytes({.xid = i, .procedure = i == 3 ? kBlock : kNull}));
    calls.insert(calls.end(), one.begin(), one.end());
  }
  ASSERT_TRUE(client.Send(calls));
  for (int i = 0; i < 9; ++i) EXPECT_NE(Parse(client.ReceiveRecord()).xid, 3U);
  server.program.Release();
  EXPECT_EQ(Parse(client.ReceiveRecord()).xid, 3U);
}

using RawClients = std::vector<std::unique_ptr<RawClient>>;

RawClients Served(TestServer& server, size_t count) {
  RawClients clients;
  while (clients.size() < count) {
    clients.push_back(std::make_unique<RawClient>(server.port));
    EXPECT_TRUE(clients.back()->Ping());
  }
  return clients;
}

void ExpectToServeTheNextWhenOneHasGone(TestServer& server, RawClients& clients) {
  clients.pop_back();
  server.program.WaitClosed(2);  // one was refused before, and one leaves
  RawClient next(server.port);
  EXPECT_TRUE(next.Ping());
}

TEST_P(RpcLoad, ConnectionsAboveTheLimitAreClosed) {
  ServerOptions options;
  options.connections_max = 3;
  TestServer server(options);
  RawClients clients = Served(server, 3);
  RawClient more(server.port);
  EXPECT_TRUE(more.AtEnd());
  EXPECT_EQ(server.server->counters().refused, 1U);
  ExpectToServeTheNextWhenOneHasGone(server, clients);
}

TEST_P(RpcLoad, OneAddressDoesNotTakeAllConnections) {
  ServerOptions options;
  options.connections_max = 8;
  TestServer server(options);
  RawClients clients = Served(server, 6);
  EXPECT_TRUE(RawClient(server.port).AtEnd());
  RawClient other(server.port, 0, INADDR_LOOPBACK + 1);
  EXPECT_TRUE(other.Ping());
  ExpectToServeTheNextWhenOneHasGone(server, clients);
}

TEST_P(RpcLoad, NoFileDescriptorLeftIsSurvived) {
  TestServer server;
  RawClient early(server.port);
  ASSERT_TRUE(early.Ping());
  // One socket is made first, for the client; then the table is full for the server's accept.
  std::vector<int> hoard;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  int spare = dup(0);
  rlimit small = before;
  small.rlim_cur = static_cast<rlim_t>(spare) + 8;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
  close(spare);
  RawClient late(server.port);
  for (int fd = dup(0); fd >= 0; fd = dup(0)) hoard.push_back(fd);
  ASSERT_TRUE(late.connected());
  RawClient* again = nullptr;
  std::unique_ptr<RawClient> held;
  if (!hoard.empty()) {
    close(hoard.back());
    hoard.pop_back();
    held = std::make_unique<RawClient>(server.port);
    again = held.get();
  }
  EXPECT_TRUE(early.Ping());
  for (int fd : hoard) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(late.Ping());
  // Unless the server was faster, and took the descriptor that was to be this client's.
  if (again != nullptr && again->connected()) {
    EXPECT_TRUE(again->Ping());
  }
}

TEST_P(RpcLoad, ShutdownEndsCallsAndTellsOfEveryConnection) {
  auto server = std::make_unique<TestServer>();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port));
    ASSERT_TRUE(clients.back()->Ping());
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(clients[static_cast<size_t>(i)]->Send(Marked(CallBytes({.procedure = kBlock}))));
  }
  server->program.WaitBlocked(5);
  std::thread stop([&server] { server->server.reset(); });
  RawClient late(server->port);  // refused or closed, as the listener goes
  server->program.Release();
  stop.join();
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(clients[static_cast<size_t>(i)]->ReceiveRecord().empty())
        << "a call that ran when the server stopped is answered";
  }
  for (auto& client : clients) EXPECT_TRUE(client->AtEnd());
  server->program.WaitClosed(20);
}

TEST_P(RpcLoad, ShutdownUnderLoad) {
  for (int round = 0; round < (kSanitized ? 3 : 10); ++round) {
    TestServer server;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&server] {
        RawClient client(server.port);
        while (client.Send(SizeArgument(100'000)) && !client.ReceiveRecord().empty()) {
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    server.server.reset();
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace tarn::rpc
