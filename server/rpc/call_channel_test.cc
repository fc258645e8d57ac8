// Calls that the server makes: over a client's connection, and over one that it opens itself.
#include "server/rpc/call_channel.h"

#include "server/rpc/testing.h"

namespace tarn::rpc {
namespace {

using namespace testing;

// Hands its caller's channel and dialer to the test.
class CallingProgram : public Program {
 public:
  uint32_t number() const override { return kNumber; }
  version_range versions() const override { return {.low = kVersion, .high = kVersion}; }
  accept_stat Handle(const Call& call, xdr::Decoder&, xdr::Encoder&) override {
    std::lock_guard lock(mutex);
    EXPECT_TRUE(channel == nullptr || channel == call.origin->Channel());
    channel = call.origin->Channel();
    dialer = call.origin->dialer();
    return SUCCESS;
  }
  std::mutex mutex;
  std::shared_ptr<CallChannel> channel;
  std::shared_ptr<Dialer> dialer;
};

// What came of one call.
struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  int times = 0;
  CallOutcome outcome{};
  Bytes results;

  CallChannel::Done Take() {
    return [this](CallOutcome what, xdr::Opaque bytes) {
      std::lock_guard lock(mutex);
      ++times;
      outcome = what;
      results.assign(bytes.begin(), bytes.end());
      changed.notify_all();
    };
  }
  CallOutcome Wait() {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [this] { return times > 0; }));
    EXPECT_EQ(times, 1);
    return outcome;
  }
};

class CallChannelTest : public ::testing::Test {
 protected:
  CallChannelTest() {
    ServerOptions options;
    options.send_timeout = std::chrono::seconds(4);
    server = Server::Start(options, program).value();
    port = server->Listen("127.0.0.1", 0, 1).value().port;
    client.emplace(port);
    EXPECT_TRUE(client->Ping());
  }
  bool Send(CallChannel& channel, Outcome& outcome,
            std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    const std::array<std::byte, 4> arguments{std::byte{1}, std::byte{2}, std::byte{3},
                                             std::byte{4}};
    return channel.Send({.program = 7,
                         .version = 1,
                         .procedure = 5,
                         .flavor = AUTH_NONE,
                         .credential = {},
                         .arguments = arguments,
                         .timeout = timeout,
                         .done = outcome.Take()});
  }
  // The xid of the call that comes in next.
  uint32_t TakeCall(RawClient& at) {
    Bytes record = at.ReceiveRecord();
    xdr::Decoder from(record);
    rpc_msg call;
    EXPECT_TRUE(Decode(from, call));
    EXPECT_EQ(call.body.mtype, CALL);
    EXPECT_EQ(call.body.cbody.prog, 7U);
    EXPECT_EQ(call.body.cbody.proc, 5U);
    EXPECT_EQ(from.remaining(), 4U);
    return call.xid;
  }
  static Bytes ReplyBytes(uint32_t xid, accept_stat stat = SUCCESS) {
    xdr::Encoder to;
    to.Put(xid);
    Encode(to, REPLY);
    Encode(to, MSG_ACCEPTED);
    Encode(to, opaque_auth{});
    Encode(to, stat);
    if (stat == SUCCESS) to.Put(uint32_t{42});
    return Marked(to.Flatten());
  }

  CallingProgram program;
  std::unique_ptr<Server> server;
  uint16_t port = 0;
  std::optional<RawClient> client;
};

TEST_F(CallChannelTest, AnswersComeInAnyOrderBesideTheClientsCalls) {
  Outcome first;
  Outcome second;
  ASSERT_TRUE(Send(*program.channel, first));
  ASSERT_TRUE(Send(*program.channel, second));
  uint32_t one = TakeCall(*client);
  uint32_t two = TakeCall(*client);
  EXPECT_NE(one, two);
  ASSERT_TRUE(client->Send(ReplyBytes(two)));
  EXPECT_EQ(second.Wait(), CallOutcome::kReply);
  EXPECT_TRUE(client->Ping());
  ASSERT_TRUE(client->Send(ReplyBytes(one, PROG_UNAVAIL)));
  EXPECT_EQ(first.Wait(), CallOutcome::kRefused);
  EXPECT_EQ(second.results.size(), 4U);
  EXPECT_TRUE(client->Ping()) << "the connection lives on";
}

TEST_F(CallChannelTest, AnswersToNothingAreDropped) {
  ASSERT_TRUE(client->Send(ReplyBytes(4711)));
  EXPECT_TRUE(client->Ping());
}

TEST_F(CallChannelTest, NoAnswerInTime) {
  Outcome outcome;
  ASSERT_TRUE(Send(*program.channel, outcome, std::chrono::milliseconds(1)));
  uint32_t xid = TakeCall(*client);
  EXPECT_EQ(outcome.Wait(), CallOutcome::kNoAnswer);
  ASSERT_TRUE(client->Send(ReplyBytes(xid)));
  EXPECT_TRUE(client->Ping());
}

TEST_F(CallChannelTest, TheConnectionEnds) {
  Outcome outcome;
  ASSERT_TRUE(Send(*program.channel, outcome));
  client.reset();
  EXPECT_EQ(outcome.Wait(), CallOutcome::kClosed);
  EXPECT_FALSE(program.channel->open());
  Outcome never;
  EXPECT_FALSE(Send(*program.channel, never));
}

TEST_F(CallChannelTest, TheServerEnds) {
  Outcome outcome;
  ASSERT_TRUE(Send(*program.channel, outcome));
  server.reset();
  EXPECT_EQ(outcome.Wait(), CallOutcome::kClosed);
  EXPECT_EQ(program.dialer->Dial("127.0.0.1", port), nullptr);
}

TEST_F(CallChannelTest, CallsWithoutAnswerAreLimited) {
  Outcome outcome;
  std::vector<std::unique_ptr<Outcome>> outcomes;
  for (size_t i = 0; i < CallChannel::kPendingMax; ++i) {
    outcomes.push_back(std::make_unique<Outcome>());
    ASSERT_TRUE(Send(*program.channel, *outcomes.back()));
  }
  EXPECT_FALSE(Send(*program.channel, outcome));
  server.reset();
  for (const auto& one : outcomes) EXPECT_EQ(one->Wait(), CallOutcome::kClosed);
}

// The other side of a dialed connection: it takes one call and answers it.
TEST_F(CallChannelTest, DialsAndIsAnswered) {
  int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  auto* name = reinterpret_cast<sockaddr*>(&at);
  ASSERT_EQ(bind(listening, name, size), 0);
  ASSERT_EQ(listen(listening, 4), 0);
  ASSERT_EQ(getsockname(listening, name, &size), 0);
  auto channel = program.dialer->Dial("127.0.0.1", ntohs(at.sin_port));
  ASSERT_NE(channel, nullptr);
  Outcome outcome;
  ASSERT_TRUE(Send(*channel, outcome));
  int fd = accept(listening, nullptr, nullptr);
  ASSERT_GE(fd, 0);
  {
    RawClient peer(RawClient::Adopt{fd});
    ASSERT_TRUE(peer.Send(ReplyBytes(TakeCall(peer))));
    EXPECT_EQ(outcome.Wait(), CallOutcome::kReply);
    channel->Close();
    EXPECT_TRUE(peer.AtEnd());
  }
  close(listening);
  // Nobody listens there any more.
  Outcome refused;
  auto dead = program.dialer->Dial("127.0.0.1", ntohs(at.sin_port));
  if (dead != nullptr && Send(*dead, refused)) {
    EXPECT_EQ(refused.Wait(), CallOutcome::kClosed);
  }
  EXPECT_EQ(program.dialer->Dial("no address", 1), nullptr);
}

}  // namespace
}  // namespace tarn::rpc
