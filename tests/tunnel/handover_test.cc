// One tunnel takes another's place: what clients see of it, and what happens when it fails.
#include "tunnel/handover.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <thread>

#include "tests/tunnel/world.h"

namespace tarn::tunnel {
namespace {

using nfs_client::AsOpaque;
using testing::HasSubstr;

class HandOver : public testing::Test {
 protected:
  HandOver() { tunnel_ = Start(); }
  std::unique_ptr<Daemon> Start() const {
    auto started = Daemon::Start(options_);
    EXPECT_TRUE(started.ok()) << started.error().message();
    return started.ok() ? std::move(started).value() : nullptr;
  }
  // The next one takes over, and the one before ends.
  void Upgrade() {
    auto next = Start();
    ASSERT_TRUE(next);
    EXPECT_TRUE(Eventually([&] { return !tunnel_->Tick(); }));
    tunnel_ = std::move(next);
  }
  v1::OpenMountResponse Open(const std::string& id) {
    auto opened = TunnelClient(place_.socket()).Open(RequestFor(server_, id));
    EXPECT_TRUE(opened.ok()) << opened.error().message();
    return opened.ok() ? *opened : v1::OpenMountResponse();
  }
  HandOverChannel Channel() const {
    return HandOverChannel::Connect(place_.state() + "/handover.sock").value();
  }
  static bool Answers(int fd, uint32_t xid) {
    return SendAll(fd, NullCall(xid)) &&
           ReceiveExactly(fd, kNullReplyBytes).size() == kNullReplyBytes;
  }

  // So much of what it sent has gone to the server.
  void AwaitSent(const std::string& id, uint64_t bytes) {
    TunnelClient client(place_.socket());
    EXPECT_TRUE(Eventually([&] { return client.Show(id).bytes_sent() >= bytes; }));
  }
  // A client may be busy for longer than in other tests.
  void LongHandOver() {
    options_.times.hand_over = std::chrono::seconds{10};
    tunnel_.reset();
    tunnel_ = Start();
  }

  Place place_;
  Options options_ = place_.options();
  FileServer server_;
  std::unique_ptr<Daemon> tunnel_;
};

TEST_F(HandOver, ABusyClientKeepsItsConnection) {
  LongHandOver();
  auto at = Open("pod-1");
  auto mounted = nfs_client::Client::Mount(Through(at));
  ASSERT_TRUE(mounted.ok());
  nfs_client::Client& nfs = *mounted.value;
  auto file = nfs.Create(nfs.Root().value, "file");
  ASSERT_TRUE(file.ok());
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> written{0};
  // Any end of its connection is an error of this client.
  std::thread writer([&] {
    std::string data(256 * 1024, 'x');
    while (!stop) {
      std::fill(data.begin(), data.end(), static_cast<char>('a' + written % 26));
      uint64_t offset = written % 64 * data.size();
      ASSERT_TRUE(nfs.Write(file->fh, file->state, offset, AsOpaque(data)).ok());
      auto read = nfs.Read(file->fh, file->state, offset, static_cast<uint32_t>(data.size()));
      ASSERT_TRUE(read.ok());
      ASSERT_EQ(nfs_client::AsText(read->data), data);
      ++written;
    }
  });
  for (int i = 0; i < 5; ++i) {
    uint64_t before = written;
    ASSERT_TRUE(Eventually([&] { return written > before + 3; }));
    Upgrade();
  }
  uint64_t before = written;
  EXPECT_TRUE(Eventually([&] { return written > before + 3; }));
  stop = true;
  writer.join();
  EXPECT_EQ(TunnelClient(place_.socket()).Show("pod-1").connections(), 1u);
}

// Both are given the same address, as pods of one node are: who comes waits for it, and does not
// end.
TEST(HandOverMetrics, TheirAddressGoesOverToo) {
  Place place;
  v1::OpenMountResponse at;
  at.set_address(Place::Loopback());
  at.set_port(9810);
  Options options = place.options();
  options.metrics = at.address() + ":9810";
  auto first = Daemon::Start(options);
  ASSERT_TRUE(first.ok()) << first.error().message();
  auto next = Daemon::Start(options);
  ASSERT_TRUE(next.ok()) << next.error().message();
  EXPECT_TRUE(Eventually([&] { return !(*first)->Tick(); }));  // and it lives on
  EXPECT_FALSE(ConnectTo(at).open());
  EXPECT_TRUE((*next)->Tick());
  Fd client = ConnectTo(at);
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(SendAll(client.get(), "GET /healthz HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(ReceiveExactly(client.get(), 12), HasSubstr("200"));
}

// What it sent before its old calls were answered goes over with it, whole and in order.
TEST_F(HandOver, CallsThatWaitGoOver) {
  LongHandOver();
  Fd client = ConnectTo(Open("pod-1"));
  ASSERT_TRUE(Answers(client.get(), 1));
  constexpr uint32_t kCalls = 400'000;
  std::thread sender([&] {
    std::string calls;
    for (uint32_t xid = 0; xid < kCalls; ++xid) {
      calls += NullCall(xid);
      if (calls.size() < 50'000 && xid + 1 < kCalls) continue;
      ASSERT_TRUE(SendAll(client.get(), calls));
      calls.clear();
    }
  });
  std::vector<bool> answered(kCalls);
  std::atomic<uint32_t> count{0};
  std::thread receiver([&] {
    while (count < kCalls) {
      std::string reply = ReceiveExactly(client.get(), kNullReplyBytes);
      ASSERT_EQ(reply.size(), kNullReplyBytes) << "after " << count;
      uint32_t xid = 0;
      memcpy(&xid, reply.data() + 4, sizeof xid);
      xid = ntohl(xid);
      ASSERT_LT(xid, kCalls);
      EXPECT_FALSE(answered[xid]);
      answered[xid] = true;
      ++count;
    }
  });
  for (uint32_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(Eventually([&] { return count > i * kCalls / 8; }));
    Upgrade();
  }
  sender.join();
  receiver.join();
  EXPECT_EQ(count, kCalls);
}

TEST_F(HandOver, NobodyIsRefused) {
  auto at = Open("pod-1");
  std::atomic<bool> stop{false};
  std::atomic<int> came{0};
  std::thread comer([&] {
    while (!stop) {
      Fd client = ConnectTo(at);
      ASSERT_TRUE(client.open());
      ++came;
      usleep(300);
    }
  });
  for (int i = 0; i < 5; ++i) {
    int before = came;
    ASSERT_TRUE(Eventually([&] { return came > before + 10; }));
    Upgrade();
  }
  stop = true;
  comer.join();
}

TEST_F(HandOver, MountsAreManagedByTheNextOne) {
  auto first = Open("pod-1");
  Upgrade();
  EXPECT_EQ(Open("pod-1").port(), first.port());
  EXPECT_NE(Open("pod-2").port(), first.port());
  ASSERT_TRUE(TunnelClient(place_.socket()).Close("pod-1").ok());
  EXPECT_FALSE(ConnectTo(first).open());
  Upgrade();
  EXPECT_EQ(TunnelClient(place_.socket()).List().mounts_size(), 1);
}

TEST_F(HandOver, OneThatStaysBusyIsClosed) {
  auto at = Open("pod-1");
  Fd busy = ConnectTo(at), idle = ConnectTo(at);
  ASSERT_TRUE(Answers(busy.get(), 1));
  ASSERT_TRUE(Answers(idle.get(), 1));
  ASSERT_TRUE(SendAll(busy.get(), NullCall(2).substr(0, 20)));  // half a call
  AwaitSent("pod-1", 2 * NullCall(1).size() + 20);
  Upgrade();
  EXPECT_TRUE(Closed(busy.get()));
  EXPECT_TRUE(Answers(idle.get(), 3));
}

TEST_F(HandOver, ANextOneThatDiesBeforeItListensChangesNothing) {
  auto at = Open("pod-1");
  Fd client = ConnectTo(at);
  ASSERT_TRUE(Answers(client.get(), 1));
  {
    auto channel = Channel();
    auto taken = TakeListeners(channel);
    ASSERT_TRUE(taken.ok());
    EXPECT_EQ(taken->listeners.size(), 1u);
  }
  EXPECT_TRUE(Answers(client.get(), 2));
  EXPECT_TRUE(Eventually([&] { return TunnelClient(place_.socket()).Answers(); }));
  EXPECT_EQ(Open("pod-1").port(), at.port());
  EXPECT_TRUE(tunnel_->Tick());
  Upgrade();
  EXPECT_TRUE(Answers(client.get(), 3));
}

TEST_F(HandOver, ANextOneThatDiesInTheMiddleLosesOnlyWhatItHad) {
  LongHandOver();
  auto at = Open("pod-1");
  std::vector<Fd> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(ConnectTo(at));
  for (Fd& client : clients) ASSERT_TRUE(Answers(client.get(), 1));
  // Stays busy until the next one is dead.
  ASSERT_TRUE(SendAll(clients[0].get(), NullCall(2).substr(0, 20)));
  AwaitSent("pod-1", clients.size() * NullCall(1).size() + 20);
  {
    auto channel = Channel();
    auto taken = TakeListeners(channel);
    ASSERT_TRUE(taken.ok());
    handover::Packet ready;
    ready.mutable_ready();
    ASSERT_TRUE(channel.Send(ready).ok());
    auto gone = channel.Receive();
    ASSERT_TRUE(gone.ok());
    EXPECT_TRUE(gone->packet.has_connection());
  }
  ASSERT_TRUE(SendAll(clients[0].get(), NullCall(2).substr(20)));
  EXPECT_EQ(ReceiveExactly(clients[0].get(), kNullReplyBytes).size(), kNullReplyBytes);
  EXPECT_TRUE(Answers(ConnectTo(at).get(), 3));
  EXPECT_TRUE(Eventually([&] { return TunnelClient(place_.socket()).Answers(); }));
  EXPECT_TRUE(tunnel_->Tick());
}

TEST_F(HandOver, AnotherVersionOfTheProtocolIsRefused) {
  auto channel = Channel();
  handover::Packet hello;
  hello.mutable_hello()->set_version_min(kHandOverVersionMax + 1);
  hello.mutable_hello()->set_version_max(kHandOverVersionMax + 5);
  ASSERT_TRUE(channel.Send(hello).ok());
  auto answer = channel.Receive();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.code(), Code::kWrongState);
  EXPECT_THAT(answer.error().message(), HasSubstr("no common version"));
  EXPECT_EQ(TunnelClient(place_.socket()).List().mounts_size(), 0);
}

TEST_F(HandOver, NonsenseIsRefused) {
  auto channel = Channel();
  ASSERT_EQ(send(channel.fd(), "nonsense", 8, 0), 8);
  EXPECT_FALSE(channel.Receive().ok());
  EXPECT_EQ(TunnelClient(place_.socket()).List().mounts_size(), 0);
  Upgrade();
}

}  // namespace
}  // namespace tarn::tunnel
