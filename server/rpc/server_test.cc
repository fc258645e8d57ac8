// What the RPC server answers, and what it refuses (RFC 5531), over a real socket.
#include "server/rpc/server.h"

#include <algorithm>

#include "server/rpc/call_header.h"
#include "server/rpc/testing.h"

namespace tarn::rpc {
namespace {

using namespace testing;

class RpcServer : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcServer, ::testing::Bool());

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

void ExpectEcho(const Bytes& record, const Bytes& text) {
  ReplyShape reply = Parse(record);
  ASSERT_TRUE(reply.ok);
  ASSERT_EQ(reply.body.areply.reply_data.stat, SUCCESS);
  xdr::Decoder from(reply.rest);
  xdr::Opaque back;
  ASSERT_TRUE(from.GetOpaque(back, UINT32_MAX));
  EXPECT_TRUE(std::ranges::equal(back, text));
}

accept_stat Accepted(const Bytes& record) {
  ReplyShape reply = Parse(record);
  EXPECT_TRUE(reply.ok);
  EXPECT_EQ(reply.body.stat, MSG_ACCEPTED);
  return reply.body.areply.reply_data.stat;
}

auth_stat Denied(const Bytes& record) {
  ReplyShape reply = Parse(record);
  EXPECT_TRUE(reply.ok);
  EXPECT_EQ(reply.body.stat, MSG_DENIED);
  EXPECT_EQ(reply.body.rreply.stat, AUTH_ERROR);
  return reply.body.rreply.why;
}

TEST_P(RpcServer, EchoOfEverySizeClass) {
  TestServer server;
  RawClient client(server.port);
  for (size_t size : {0U, 1U, 4095U, 4096U, 8100U, 8192U, 20'000U, 200'000U, 1U << 20}) {
    Bytes text = Pattern(size);
    ExpectEcho(client.Call({.procedure = kEcho}, text), text);
  }
  EXPECT_EQ(server.server->counters().calls, 9U);
  EXPECT_EQ(server.server->counters().connections, 1U);
}

TEST_P(RpcServer, FragmentsMakeOneRecord) {
  TestServer server;
  RawClient client(server.port);
  for (size_t size : {5U, 3000U, 60'000U}) {
    Bytes text = Pattern(size);
    ASSERT_TRUE(client.Send(Marked(CallBytes({.procedure = kEcho}, text), size / 50 + 1)));
    ExpectEcho(client.ReceiveRecord(), text);
  }
}

TEST_P(RpcServer, ByteByByteAndManyInOneSegment) {
  TestServer server;
  RawClient client(server.port);
  Bytes text = Pattern(20);
  for (std::byte b : Marked(CallBytes({.procedure = kEcho}, text), 16)) {
    ASSERT_TRUE(client.Send({b}));
  }
  ExpectEcho(client.ReceiveRecord(), text);
  constexpr uint32_t kCalls = 500;
  Bytes all;
  for (uint32_t i = 0; i < kCalls; ++i) {
    // Fragmented ones too: they must not wait for a socket that has no more to give.
    Bytes one = Marked(CallBytes({.xid = i, .procedure = kEcho}, text), i % 2 == 0 ? SIZE_MAX : 20);
    all.insert(all.end(), one.begin(), one.end());
  }
  ASSERT_TRUE(client.Send(all));
  std::set<uint32_t> seen;
  for (uint32_t i = 0; i < kCalls; ++i) seen.insert(Parse(client.ReceiveRecord()).xid);
  EXPECT_EQ(seen.size(), kCalls);
}

TEST_P(RpcServer, EveryErrorReply) {
  TestServer server;
  RawClient client(server.port);
  Bytes unknown = client.Call({.program = 99});
  EXPECT_EQ(Accepted(unknown), PROG_UNAVAIL);
  for (uint32_t version : {3U, 5U}) {
    Bytes mismatch = client.Call({.version = version});
    EXPECT_EQ(Accepted(mismatch), PROG_MISMATCH);
    version_range range = Parse(mismatch).body.areply.reply_data.mismatch_info;
    EXPECT_EQ(range.low, kVersion);
    EXPECT_EQ(range.high, kVersion);
  }
  EXPECT_EQ(Accepted(client.Call({.procedure = 1000})), PROC_UNAVAIL);
  Bytes garbage = client.Call({.procedure = kGarbage});
  EXPECT_EQ(Accepted(garbage), GARBAGE_ARGS);
  EXPECT_TRUE(Parse(garbage).rest.empty()) << "results of a failed call must not be sent";
  EXPECT_EQ(Accepted(client.Call({.procedure = kEcho})), GARBAGE_ARGS);
  EXPECT_EQ(Accepted(client.Call({.procedure = kBroken})), SYSTEM_ERR);
  ReplyShape old = Parse(client.Call({.xid = 5, .rpc_version = 1}));
  ASSERT_TRUE(old.ok);
  EXPECT_EQ(old.xid, 5U);
  EXPECT_EQ(old.body.rreply.stat, RPC_MISMATCH);
  EXPECT_EQ(old.body.rreply.mismatch_info.high, 2U);
  EXPECT_TRUE(client.Ping());
}

TEST_P(RpcServer, ImpossibleXdrLengthsInArguments) {
  TestServer server;
  RawClient client(server.port);
  for (uint32_t lie : {5U, 4096U, 0x7fffffffU, 0xfffffffdU, 0xffffffffU}) {
    Bytes call = CallBytes({.procedure = kEcho});
    PutMark(call, lie);
    ASSERT_TRUE(client.Send(Marked(call)));
    EXPECT_EQ(Accepted(client.ReceiveRecord()), GARBAGE_ARGS) << lie;
  }
}

TEST_P(RpcServer, Credentials) {
  TestServer server;
  RawClient client(server.port);
  xdr::Encoder body;
  Encode(body, authsys_parms{
                   .stamp = 1, .machinename = "host", .uid = 1000, .gid = 100, .gids = {1, 2, 3}});
  Bytes sys = body.Flatten();
  auto who = [&client](const opaque_auth& credential) {
    Bytes record = client.Call({.procedure = kWho, .credential = credential});
    EXPECT_EQ(Accepted(record), SUCCESS);
    xdr::Decoder from(Parse(record).rest);
    std::array<uint32_t, 4> words{};
    uint64_t tag = 0;
    for (uint32_t& word : words) EXPECT_TRUE(from.Get(word));
    EXPECT_TRUE(from.Get(tag));
    EXPECT_EQ(tag, 77U);
    return words;
  };
  EXPECT_EQ(who({.flavor = AUTH_SYS, .body = sys}), (std::array{1U, 1000U, 100U, 3U}));
  EXPECT_EQ(who({}), (std::array{0U, 65534U, 65534U, 0U}));

  auto denied = [&client](const opaque_auth& credential, const opaque_auth& verifier = {}) {
    return Denied(client.Call({.credential = credential, .verifier = verifier}));
  };
  for (size_t size = 0; size < sys.size(); size += 4) {
    EXPECT_EQ(denied({.flavor = AUTH_SYS, .body = xdr::Opaque(sys).first(size)}), AUTH_BADCRED);
  }
  EXPECT_EQ(denied({.flavor = RPCSEC_GSS, .body = sys}), AUTH_REJECTEDCRED);
  EXPECT_EQ(denied({.flavor = static_cast<auth_flavor>(4711)}), AUTH_REJECTEDCRED);
  EXPECT_EQ(denied({.flavor = AUTH_NONE, .body = sys}), AUTH_BADCRED);
  EXPECT_EQ(denied({}, {.flavor = AUTH_SYS, .body = sys}), AUTH_BADVERF);
  Bytes long_body(AUTH_BODY_BYTES_MAX + 4);
  EXPECT_EQ(denied({.flavor = AUTH_SYS, .body = long_body}), AUTH_BADCRED);
  EXPECT_EQ(denied({}, {.flavor = AUTH_NONE, .body = long_body}), AUTH_BADVERF);
  EXPECT_TRUE(client.Ping());
}

TEST_P(RpcServer, BytesThatAreNoCallEndTheConnection) {
  TestServer server;
  std::vector<Bytes> bad;
  Bytes whole = CallBytes({});
  for (size_t size = 0; size < 24; size += 4) {
    bad.push_back(Marked({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}));
  }
  bad.push_back(Marked(CallBytes({.type = 1})));   // a reply
  bad.push_back(Marked(CallBytes({.type = 99})));  // nothing known
  bad.push_back(Pattern(4096));
  Bytes http;
  for (char c : std::string("GET / HTTP/1.1\r\n\r\n")) http.push_back(static_cast<std::byte>(c));
  bad.push_back(http);
  for (const Bytes& bytes : bad) {
    RawClient client(server.port);
    client.Send(bytes);
    shutdown(client.fd(), SHUT_WR);
    EXPECT_TRUE(client.AtEnd());
  }
  server.program.WaitClosed(bad.size());
  EXPECT_GE(server.server->counters().bad_records, 9U);
  RawClient good(server.port);
  EXPECT_TRUE(good.Ping());
}

TEST_P(RpcServer, LyingFragmentHeaders) {
  ServerOptions options;
  options.record_bytes_max = 100'000;
  TestServer server(options);
  auto refused = [&server](const Bytes& bytes) {
    RawClient client(server.port);
    client.Send(bytes);
    return client.AtEnd();
  };
  for (uint32_t size : {100'001U, 0x7fffffffU}) {
    for (uint32_t last : {0U, 0x80000000U}) {
      Bytes header;
      PutMark(header, size | last);
      EXPECT_TRUE(refused(header)) << size;
    }
  }
  Bytes sum;  // each fragment is fine, all together are not
  for (int i = 0; i < 3; ++i) {
    PutMark(sum, 40'000);
    sum.resize(sum.size() + 40'000);
  }
  EXPECT_TRUE(refused(sum));
  Bytes endless;  // fragments of nothing, without a last one
  for (int i = 0; i < 2000; ++i) PutMark(endless, 0);
  EXPECT_TRUE(refused(endless));
  EXPECT_EQ(server.server->counters().bad_records, 6U);

  RawClient truncated(server.port);  // promises more than it sends
  Bytes call = Marked(CallBytes({.procedure = kEcho}, Pattern(50'000)));
  call.resize(30'000);
  ASSERT_TRUE(truncated.Send(call));
  shutdown(truncated.fd(), SHUT_WR);
  EXPECT_TRUE(truncated.AtEnd());
  RawClient good(server.port);
  Bytes text = Pattern(99'000);
  ExpectEcho(good.Call({.procedure = kEcho}, text), text);
}

TEST_P(RpcServer, RandomBytesNeverHurt) {
  TestServer server;
  uint64_t state = 88172645463325252ULL;
  auto random = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  };
  Bytes good = Marked(CallBytes({.procedure = kEcho}, Pattern(100)));
  for (int round = 0; round < 300; ++round) {
    Bytes bytes = good;
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    RawClient client(server.port);
    client.Send(bytes);
    shutdown(client.fd(), SHUT_WR);
    while (!client.ReceiveRecord().empty()) {
    }
  }
  RawClient client(server.port);
  EXPECT_TRUE(client.Ping());
}

TEST_P(RpcServer, ListenNamesWhatIsWrong) {
  TestServer server;
  EXPECT_EQ(server.server->Listen("localhost", 0, 1).code(), Code::kInvalid);
  auto taken = server.server->Listen("127.0.0.1", server.port, 1);
  ASSERT_EQ(taken.code(), Code::kUnavailable);
  EXPECT_NE(taken.error().message().find(std::to_string(server.port)), std::string::npos);
  auto v6 = server.server->Listen("::1", 0, 2);
  EXPECT_TRUE(v6.ok() || v6.code() == Code::kUnavailable);  // a machine may have no IPv6
}

TEST_P(RpcServer, StopListeningClosesItsConnectionsOnly) {
  TestServer server;
  auto other = server.server->Listen("127.0.0.1", 0, 2);
  ASSERT_TRUE(other.ok());
  RawClient stays(server.port);
  RawClient goes(other->port);
  ASSERT_TRUE(stays.Ping() && goes.Ping());
  server.server->StopListening(other->id);
  EXPECT_TRUE(goes.AtEnd());
  RawClient late(other->port);
  EXPECT_FALSE(late.connected());
  EXPECT_TRUE(stays.Ping());
  EXPECT_TRUE(server.server->Listen("127.0.0.1", other->port, 3).ok()) << "the port is free again";
}

}  // namespace
}  // namespace tarn::rpc
