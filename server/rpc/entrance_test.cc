// How a connection comes to make calls: identity, the gate, RPC-with-TLS (RFC 9289).
#include <gmock/gmock.h>

#include <thread>

#include "server/rpc/security.h"
#include "server/rpc/testing/tls.h"

namespace tarn::rpc {
namespace {

using namespace testing;
using std::chrono::minutes;

class RpcEntrance : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcEntrance, ::testing::Bool());

struct Note : Admission {
  explicit Note(std::string t) : text(std::move(t)) {}
  const std::string text;
};

// Answers as it is told, or keeps the verdicts.
class TestGate : public Gate {
 public:
  enum class Way { kAdmit, kRefuse, kPutOff, kKeep, kForget };

  void Admit(const Peer& peer, Verdict verdict) override {
    std::lock_guard lock(mutex_);
    peers_.push_back(peer);
    if (on_ask) on_ask();
    if (way == Way::kAdmit) verdict.Admit(std::make_shared<Note>("at once"));
    if (way == Way::kRefuse) verdict.Refuse("told so");
    if (way == Way::kPutOff) verdict.PutOff("not yet");
    if (way == Way::kKeep) kept_.push_back(std::move(verdict));
    changed_.notify_all();
  }
  void WaitAsked(size_t times) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return peers_.size() >= times; }));
  }
  size_t asked() {
    std::lock_guard lock(mutex_);
    return peers_.size();
  }
  Peer peer(size_t at) {
    std::lock_guard lock(mutex_);
    return peers_.at(at);
  }
  Verdict TakeKept() {
    std::lock_guard lock(mutex_);
    Verdict verdict = std::move(kept_.back());
    kept_.pop_back();
    return verdict;
  }

  std::atomic<Way> way{Way::kAdmit};
  std::function<void()> on_ask;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Peer> peers_;
  std::vector<Verdict> kept_;
};

auth_stat Denied(const Bytes& record) {
  ReplyShape reply = Parse(record);
  EXPECT_TRUE(reply.ok);
  EXPECT_EQ(reply.body.stat, MSG_DENIED);
  return reply.body.rreply.stat == AUTH_ERROR ? reply.body.rreply.why : AUTH_OK;
}

const opaque_auth kTls{.flavor = AUTH_TLS, .body = {}};

// --- identity ---

TEST_P(RpcEntrance, GateSeesWhoTheClientIs) {
  TestGate gate;
  TlsServer server({}, false, &gate);
  RawClient plain(server.port);
  ASSERT_TRUE(plain.Ping());
  EXPECT_EQ(gate.peer(0).security, nullptr);
  EXPECT_EQ(gate.peer(0).address, "127.0.0.1");
  EXPECT_EQ(gate.peer(0).listener, 77U);

  TlsClient anonymous(server.port, server.client());
  ASSERT_TRUE(anonymous.Handshake() && anonymous.Ping());
  ASSERT_NE(gate.peer(1).security, nullptr);
  EXPECT_EQ(gate.peer(1).security->certificate, std::nullopt);
  EXPECT_EQ(gate.peer(1).security->protocol, "TLSv1.3");
  EXPECT_FALSE(gate.peer(1).security->rpc_with_tls);

  tls::CertificateIdentity identity{.access_point_id = "fsap-0123456789abcdef0",
                                    .file_system_id = "fs-0123456789abcdef0",
                                    .token = std::string(tls::kTokenBytesMax, 't')};
  ClientKey key(identity);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server.port, server.client(key));
    SSL_set_max_proto_version(client.ssl(), version);
    ASSERT_TRUE(client.Handshake() && client.Ping() && client.Ping());
    auto security = gate.peer(gate.asked() - 1).security;
    ASSERT_TRUE(security && security->certificate);
    EXPECT_EQ(security->certificate->identity, identity);
    EXPECT_NE(security->certificate->public_key, tls::PublicKeyHashes());
  }
  EXPECT_EQ(gate.asked(), 4U) << "once a connection";
}

TEST_P(RpcEntrance, CertificatesThatBreakTheRulesEndTheHandshake) {
  TlsServer server;
  auto refused = [&server](const ClientKey& key) {
    uint64_t before = server.failed(HandshakeFailure::kCertificate);
    TlsClient client(server.port, server.client(key));
    // In TLS 1.3 the client is done before the server has judged.
    bool works = client.Handshake() && client.Ping();
    return !works &&
           Eventually([&] { return server.failed(HandshakeFailure::kCertificate) == before + 1; });
  };
  EXPECT_TRUE(refused(ClientKey({}, minutes(20), -minutes(10)))) << "expired";
  EXPECT_TRUE(refused(ClientKey({}, -minutes(10), minutes(20)))) << "not valid yet";
  TlsClient good(server.port, server.client(ClientKey({}, minutes(15), minutes(1))));
  EXPECT_TRUE(good.Handshake() && good.Ping());
}

// --- the gate ---

TEST_P(RpcEntrance, RefusedClientsLearnItAndAreClosed) {
  TestGate gate;
  gate.way = TestGate::Way::kRefuse;
  TlsServer server({}, false, &gate);
  RawClient plain(server.port);
  EXPECT_EQ(Denied(plain.Call({.procedure = kEcho}, Bytes(200'000))), AUTH_TOOWEAK);
  EXPECT_TRUE(plain.AtEnd());
  TlsClient client(server.port, server.client());
  ASSERT_TRUE(client.Handshake());
  EXPECT_EQ(Denied(client.Call({})), AUTH_TOOWEAK);
  EXPECT_TRUE(client.AtEnd());
  gate.way = TestGate::Way::kForget;
  RawClient forgotten(server.port);
  EXPECT_EQ(Denied(forgotten.Call({})), AUTH_TOOWEAK);
  server.program.WaitClosed(3);
  EXPECT_EQ(server.server->counters().calls, 0U);
  EXPECT_EQ(server.server->counters().turned_away, 3U);
}

// A kernel client takes an answer for good, and comes again after a connection that ends.
TEST_P(RpcEntrance, WhoIsPutOffGetsNoAnswerAndMayComeAgain) {
  TestGate gate;
  gate.way = TestGate::Way::kPutOff;
  TlsServer server({}, false, &gate);
  RawClient plain(server.port);
  ASSERT_TRUE(plain.Send(Marked(CallBytes({.procedure = kEcho}, Bytes(200'000)))));
  EXPECT_TRUE(plain.AtEnd());
  TlsClient secure(server.port, server.client());
  ASSERT_TRUE(secure.Handshake());
  EXPECT_FALSE(secure.Ping());
  server.program.WaitClosed(2);
  EXPECT_EQ(server.server->counters().calls, 0U);
  EXPECT_EQ(server.server->counters().turned_away, 2U);
  gate.way = TestGate::Way::kAdmit;
  EXPECT_TRUE(RawClient(server.port).Ping());
}

TEST_P(RpcEntrance, AVerdictThatComesLaterHoldsNoWorker) {
  ServerOptions options;
  options.workers_max = 1;
  TestGate gate;
  TlsServer server(options, false, &gate);
  gate.way = TestGate::Way::kKeep;
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(std::make_unique<RawClient>(server.port));
    ASSERT_TRUE(waiting.back()->Send(
        Marked(CallBytes({.xid = 7, .procedure = kEcho}, Bytes(i == 0 ? 10 : 300'000)))));
    ASSERT_TRUE(waiting.back()->Send(Marked(CallBytes({.xid = 8}))));
  }
  gate.WaitAsked(3);
  gate.way = TestGate::Way::kAdmit;
  RawClient other(server.port);
  EXPECT_TRUE(other.Ping()) << "the only worker must not wait for a verdict";
  gate.TakeKept().Admit(nullptr);
  gate.TakeKept().Refuse("after all");
  std::thread([verdict = gate.TakeKept()]() mutable { verdict.Admit(nullptr); }).join();
  int admitted = 0;
  for (auto& client : waiting) {
    ReplyShape reply = Parse(client->ReceiveRecord());
    EXPECT_EQ(reply.xid, 7U);
    if (reply.body.stat == MSG_ACCEPTED) {
      EXPECT_EQ(Parse(client->ReceiveRecord()).xid, 8U);
      EXPECT_TRUE(client->Ping());
      ++admitted;
    }
  }
  EXPECT_EQ(admitted, 2);
}

TEST_P(RpcEntrance, NoVerdictInTimeAndVerdictsThatComeTooLate) {
  ServerOptions options;
  options.send_timeout = std::chrono::seconds(1);
  TestGate gate;
  gate.way = TestGate::Way::kKeep;
  auto server = std::make_unique<TlsServer>(options, false, &gate);
  RawClient client(server->port);
  ASSERT_TRUE(client.Send(Marked(CallBytes({}))));
  server->program.WaitClosed(1);
  EXPECT_TRUE(client.AtEnd());
  RawClient second(server->port);
  ASSERT_TRUE(second.Send(Marked(CallBytes({}))));
  gate.WaitAsked(2);
  server.reset();
  gate.TakeKept().Admit(nullptr);
  gate.TakeKept().Admit(nullptr);
}

TEST_P(RpcEntrance, RecheckDropsThoseThatLostTheirRights) {
  TestGate gate;
  TlsServer server({}, false, &gate);
  RawClient plain(server.port);
  TlsClient secure(server.port, server.client());
  RawClient silent(server.port);
  ASSERT_TRUE(secure.Handshake());
  ASSERT_TRUE(plain.Ping() && secure.Ping());
  EXPECT_EQ(server.server->Recheck([](const Peer& peer) {
    EXPECT_EQ(dynamic_cast<const Note&>(*peer.admission).text, "at once");
    return peer.security != nullptr;
  }),
            1U);
  EXPECT_TRUE(plain.AtEnd());
  EXPECT_TRUE(secure.Ping());
  EXPECT_TRUE(silent.Ping());
}

TEST_P(RpcEntrance, ARecheckWhileTheGateThinksAsksItAgain) {
  TestGate gate;
  TlsServer server({}, false, &gate);
  gate.on_ask = [&, first = true]() mutable {
    if (std::exchange(first, false)) server.server->Recheck([](const Peer&) { return true; });
  };
  RawClient client(server.port);
  EXPECT_TRUE(client.Ping());
  EXPECT_EQ(gate.asked(), 2U);
}

// --- TLS required, RPC-with-TLS ---

TEST_P(RpcEntrance, PlainCallsAreTooWeakWhereTlsIsRequired) {
  TlsServer server({}, true);
  RawClient plain(server.port);
  EXPECT_EQ(Denied(plain.Call({})), AUTH_TOOWEAK);
  EXPECT_TRUE(plain.AtEnd());
  TlsClient client(server.port, server.client());
  EXPECT_TRUE(client.Handshake() && client.Ping());
}

// An answer that was held back for the next record of one who is turned away with it.
TEST_P(RpcEntrance, WhoIsTurnedAwayLeavesNothingToOthers) {
  ServerOptions options;
  options.workers_min = options.workers_max = 1;
  TlsServer server(options, true);
  for (int i = 0; i < 20; ++i) {
    // No valid probe, so it is denied as an unknown flavor is; and behind it what is no call.
    Bytes both = Marked(CallBytes({.xid = 666, .procedure = 1, .credential = kTls}));
    Bytes no_call = Marked(Bytes(12, std::byte{1}));
    both.insert(both.end(), no_call.begin(), no_call.end());
    RawClient attacker(server.port);
    ASSERT_TRUE(attacker.Send(both));
    EXPECT_EQ(Denied(attacker.ReceiveRecord()), AUTH_BADCRED);
    TlsClient client(server.port, server.client());
    ASSERT_TRUE(client.Handshake() && client.Ping());
  }
}

void ExpectStartTls(const Bytes& record) {
  ReplyShape reply = Parse(record);
  ASSERT_TRUE(reply.ok);
  ASSERT_EQ(reply.body.stat, MSG_ACCEPTED);
  EXPECT_EQ(reply.body.areply.reply_data.stat, SUCCESS);
  EXPECT_EQ(reply.body.areply.verf.flavor, AUTH_NONE);
  xdr::Opaque body = reply.body.areply.verf.body;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(body.data()), body.size()), "STARTTLS");
}

TEST_P(RpcEntrance, RpcWithTls) {
  TestGate gate;
  TlsServer server({}, true, &gate);
  ClientKey key({.file_system_id = "fs-0123456789abcdef0"});
  tls::ClientTlsOptions options = server.client(key);
  options.rpc_with_tls = true;
  TlsClient client(server.port, options);
  RawClient& raw = client;
  ASSERT_TRUE(raw.RawClient::Send(Marked(CallBytes({.xid = 9, .credential = kTls}))));
  Bytes record(24 + 8);
  Bytes mark(4);
  ASSERT_TRUE(raw.RawClient::Receive(mark.data(), mark.size()));
  ASSERT_TRUE(raw.RawClient::Receive(record.data(), record.size()));
  ExpectStartTls(record);
  EXPECT_EQ(gate.asked(), 0U) << "the question for TLS is no call";
  ASSERT_TRUE(client.Handshake());
  const unsigned char* alpn = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(client.ssl(), &alpn, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(alpn), size), "sunrpc");
  EXPECT_TRUE(client.Ping());
  EXPECT_TRUE(gate.peer(0).security->rpc_with_tls);
  EXPECT_EQ(gate.peer(0).security->certificate->identity.file_system_id, "fs-0123456789abcdef0");
  // Within TLS there is nothing to ask for.
  EXPECT_EQ(Denied(client.Call({.credential = kTls})), AUTH_BADCRED);
  EXPECT_TRUE(client.Ping());
}

TEST_P(RpcEntrance, RpcWithTlsNeedsVersion13AndOurProtocol) {
  TlsServer server;
  auto asks = [](TlsClient& client) {
    client.RawClient::Send(Marked(CallBytes({.credential = kTls})));
    Bytes reply(36);
    return client.RawClient::Receive(reply.data(), reply.size());
  };
  TlsClient old(server.port, server.client());
  SSL_set_max_proto_version(old.ssl(), TLS1_2_VERSION);
  ASSERT_TRUE(asks(old));
  EXPECT_FALSE(old.Handshake());
  EXPECT_TRUE(Eventually([&] { return server.failed(HandshakeFailure::kVersion) == 1; }));
  TlsClient web(server.port, server.client());
  const unsigned char h2[] = "\x02h2";
  SSL_set_alpn_protos(web.ssl(), h2, 3);
  ASSERT_TRUE(asks(web));
  EXPECT_FALSE(web.Handshake());
  TlsClient silent(server.port, server.client());  // as Linux' tlshd, which names no protocol
  ASSERT_TRUE(asks(silent));
  EXPECT_TRUE(silent.Handshake() && silent.Ping());
}

TEST_P(RpcEntrance, QuestionsForTlsThatAreNone) {
  TlsServer server;
  Bytes body(8);
  const std::vector<CallShape> shapes{
      {.procedure = kEcho, .credential = kTls},
      {.credential = {.flavor = AUTH_TLS, .body = body}},
      {.program = 99, .credential = kTls},
      {.version = 3, .credential = kTls},
  };
  for (const CallShape& shape : shapes) {
    RawClient client(server.port);
    EXPECT_EQ(Denied(client.Call(shape)), AUTH_BADCRED);
    EXPECT_TRUE(client.Ping()) << "it goes on in the clear";
    EXPECT_EQ(Denied(client.Call({.credential = kTls})), AUTH_BADCRED) << "too late";
  }
  RawClient pipelined(server.port);
  Bytes both = Marked(CallBytes({.xid = 1, .credential = kTls}));
  Bytes next = Marked(CallBytes({.xid = 2}));
  both.insert(both.end(), next.begin(), next.end());
  ASSERT_TRUE(pipelined.Send(both));
  // Two workers may run them, so the answers come in any order.
  std::vector<Bytes> answers{pipelined.ReceiveRecord(), pipelined.ReceiveRecord()};
  if (Parse(answers[0]).xid == 2) std::swap(answers[0], answers[1]);
  EXPECT_EQ(Denied(answers[0]), AUTH_BADCRED);
  EXPECT_EQ(Parse(answers[1]).xid, 2U);
  EXPECT_EQ(Parse(answers[1]).body.stat, MSG_ACCEPTED);
  TestServer without;
  RawClient client(without.port);
  EXPECT_EQ(Denied(client.Call({.credential = kTls})), AUTH_BADCRED);
  EXPECT_TRUE(client.Ping());
  // The handshake does not follow.
  RawClient liar(server.port);
  ExpectStartTls(liar.Call({.credential = kTls}));
  ASSERT_TRUE(liar.Send(Marked(CallBytes({}))));
  while (!liar.AtEnd()) {
  }  // an alert, perhaps
}

}  // namespace
}  // namespace tarn::rpc
