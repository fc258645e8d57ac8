// TLS on the server's port: what it takes, what it refuses, what it tells programs of the client.
#include <openssl/rand.h>

#include <algorithm>
#include <thread>

#include "server/rpc/testing/tls.h"

namespace tarn::rpc {
namespace {

using namespace testing;

class RpcTls : public BothWays {};
INSTANTIATE_TEST_SUITE_P(TellsWaits, RpcTls, ::testing::Bool());

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

bool Echoes(RawClient& client, size_t size) {
  Bytes text = Pattern(size);
  Bytes record = client.Call({.procedure = kEcho}, text);
  ReplyShape reply = Parse(record);
  xdr::Decoder from(reply.rest);
  xdr::Opaque back;
  return reply.ok && from.GetOpaque(back, UINT32_MAX) && std::ranges::equal(back, text);
}

TEST_P(RpcTls, PlainAndBothVersionsOnOnePort) {
  TlsServer server;
  RawClient plain(server.port);
  TlsClient newer(server.port, server.client());
  TlsClient older(server.port, server.client());
  SSL_set_max_proto_version(older.ssl(), TLS1_2_VERSION);
  ASSERT_TRUE(newer.Handshake() && older.Handshake());
  EXPECT_STREQ(SSL_get_version(newer.ssl()), "TLSv1.3");
  EXPECT_STREQ(SSL_get_version(older.ssl()), "TLSv1.2");
  for (size_t size : {0U, 1U, 4096U, 8192U, 16'300U, 16'384U, 20'000U, 200'000U, 1U << 20}) {
    EXPECT_TRUE(Echoes(plain, size)) << size;
    EXPECT_TRUE(Echoes(newer, size)) << size;
    EXPECT_TRUE(Echoes(older, size)) << size;
  }
  auto counters = server.server->counters();
  EXPECT_EQ(counters.connections, 3U);
  EXPECT_EQ(counters.tls_connections, 2U);
  EXPECT_EQ(counters.handshakes_done, 2U);
  EXPECT_EQ(counters.handshakes_open, 0U);
}

TEST_P(RpcTls, OldVersionsAndBadBytesAreRefused) {
  TlsServer server;
  TlsClient old(server.port, server.client());
  SSL_set_security_level(old.ssl(), 0);
  SSL_set_cipher_list(old.ssl(), "ALL:@SECLEVEL=0");
  SSL_set_min_proto_version(old.ssl(), TLS1_1_VERSION);
  SSL_set_max_proto_version(old.ssl(), TLS1_1_VERSION);
  EXPECT_FALSE(old.Handshake());
  EXPECT_TRUE(Eventually([&] { return server.failed(HandshakeFailure::kVersion) == 1; }));
  for (const char* text :
       {"\x16\x02\x01\x02\x03\x04\x05\x06", "\x16\x03\x01\xff\xff\x04\x05\x06",
        "\x16\x03\x01\x04\x05\x06\x07\x08\x09", "\x17\x03\x03\x01\x02\x03\x04"}) {
    RawClient client(server.port);
    Bytes bytes;
    for (const char* at = text; *at != 0; ++at) bytes.push_back(static_cast<std::byte>(*at));
    bytes.resize(20'000);
    client.Send(bytes);
    shutdown(client.fd(), SHUT_WR);
    while (!client.AtEnd()) {
    }
  }
  TlsClient good(server.port, server.client());
  ASSERT_TRUE(good.Handshake());
  EXPECT_TRUE(good.Ping());
  EXPECT_TRUE(Eventually([&] { return server.server->counters().connections == 1; }));
}

TEST_P(RpcTls, WithoutCertificatesThereIsNoTls) {
  TestServer server;
  TlsDir dir;
  TlsClient client(server.port, {.ca_pem = dir.ca()});
  EXPECT_FALSE(client.Handshake());
  RawClient plain(server.port);
  EXPECT_TRUE(plain.Ping());
}

// Relays between a TLS client that speaks to one end of a socket pair, and the server.
TEST_P(RpcTls, HandshakeAndCallsByteByByte) {
  TlsServer server;
  RawClient raw(server.port);
  tls::Context context = tls::NewClientContext(server.client()).value();
  tls::Owned<SSL> ssl = tls::NewClientConnection(*context, "localhost");
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, out);
  auto send_all = [&] {
    std::byte one{};
    while (BIO_read(out, &one, 1) == 1) ASSERT_TRUE(raw.Send({one}));
  };
  auto receive_some = [&] {
    char bytes[4096];
    ssize_t got = recv(raw.fd(), bytes, sizeof(bytes), 0);
    ASSERT_GT(got, 0);
    BIO_write(in, bytes, static_cast<int>(got));
  };
  while (SSL_do_handshake(ssl.get()) != 1) {
    send_all();
    receive_some();
  }
  Bytes call = Marked(CallBytes({.procedure = kEcho}, Pattern(3000)));
  ASSERT_EQ(SSL_write(ssl.get(), call.data(), static_cast<int>(call.size())),
            static_cast<int>(call.size()));
  send_all();
  Bytes reply(28 + 4 + 3000);
  for (size_t at = 0; at < reply.size();) {
    size_t got = 0;
    if (SSL_read_ex(ssl.get(), reply.data() + at, reply.size() - at, &got) == 1) {
      at += got;
    } else {
      receive_some();
    }
  }
  EXPECT_TRUE(std::equal(reply.end() - 3000, reply.end(), Pattern(3000).begin()));
}

TEST_P(RpcTls, CallsInOneRecordAndInManyAtOnce) {
  TlsServer server;
  TlsClient client(server.port, server.client());
  ASSERT_TRUE(client.Handshake());
  constexpr uint32_t kCalls = 500;
  Bytes all;
  for (uint32_t i = 0; i < kCalls; ++i) {
    Bytes one = Marked(CallBytes({.xid = i, .procedure = kEcho}, Pattern(i % 3 == 0 ? 9000 : 20)),
                       i % 2 == 0 ? SIZE_MAX : 20);
    all.insert(all.end(), one.begin(), one.end());
  }
  std::thread sender([&] { EXPECT_TRUE(client.Send(all)); });
  sender.join();
  std::set<uint32_t> seen;
  for (uint32_t i = 0; i < kCalls; ++i) seen.insert(Parse(client.ReceiveRecord()).xid);
  EXPECT_EQ(seen.size(), kCalls);
}

TEST_P(RpcTls, HalfClosedClientGetsItsRepliesAndAGoodbye) {
  TlsServer server;
  TlsClient client(server.port, server.client(), 4096);
  ASSERT_TRUE(client.Handshake());
  Bytes call = CallBytes({.procedure = kBig});
  PutMark(call, 1 << 20);
  constexpr int kCalls = 8;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(client.Send(Marked(call)));
  SSL_shutdown(client.ssl());
  for (int i = 0; i < kCalls; ++i) EXPECT_GT(client.ReceiveRecord().size(), size_t{1} << 20);
  EXPECT_TRUE(client.AtEnd());
  EXPECT_TRUE(client.SaidGoodbye());
  server.program.WaitClosed(1);
  EXPECT_EQ(server.server->counters().tls_connections, 0U);
}

TEST_P(RpcTls, ConnectionsThatEndWithoutGoodbye) {
  TlsServer server;
  {
    TlsClient client(server.port, server.client());
    ASSERT_TRUE(client.Handshake());
    ASSERT_TRUE(client.Ping());
  }
  server.program.WaitClosed(1);
  TlsClient stopped(server.port, server.client());
  ASSERT_TRUE(stopped.Handshake());
  ASSERT_TRUE(stopped.Ping());
  server.server->StopListening(server.listener_id);
  EXPECT_TRUE(stopped.AtEnd());
  EXPECT_TRUE(stopped.SaidGoodbye());
}

TEST_P(RpcTls, KeyUpdatesBothWays) {
  TlsServer server;
  TlsClient client(server.port, server.client());
  ASSERT_TRUE(client.Handshake());
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(SSL_key_update(client.ssl(),
                             i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
              1);
    ASSERT_TRUE(Echoes(client, 50'000)) << i;
  }
}

TEST_P(RpcTls, RenegotiationIsRefused) {
  TlsServer server;
  TlsClient client(server.port, server.client());
  SSL_set_max_proto_version(client.ssl(), TLS1_2_VERSION);
  SSL_clear_options(client.ssl(), SSL_OP_NO_RENEGOTIATION);
  ASSERT_TRUE(client.Handshake());
  ASSERT_TRUE(client.Ping());
  bool began = SSL_renegotiate(client.ssl()) == 1;
  EXPECT_FALSE(began && SSL_do_handshake(client.ssl()) == 1 && client.Ping());
  EXPECT_EQ(server.server->counters().handshakes_done, 1U);
}

TEST_P(RpcTls, NoSessionIsResumed) {
  TlsServer server;
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(server.port, server.client());
    SSL_set_max_proto_version(first.ssl(), version);
    SSL_clear_options(first.ssl(), SSL_OP_NO_TICKET);
    ASSERT_TRUE(first.Handshake());
    ASSERT_TRUE(first.Ping());
    SSL_SESSION* session = SSL_get1_session(first.ssl());
    EXPECT_EQ(SSL_SESSION_is_resumable(session), 0);
    TlsClient second(server.port, server.client());
    SSL_set_max_proto_version(second.ssl(), version);
    SSL_set_session(second.ssl(), session);
    ASSERT_TRUE(second.Handshake());
    EXPECT_EQ(SSL_session_reused(second.ssl()), 0);
    SSL_SESSION_free(session);
  }
}

TEST_P(RpcTls, NewCertificateWithoutAnEndOfConnections) {
  TlsServer server;
  auto shown = [](TlsClient& client) {
    tls::Owned<X509> certificate(SSL_get1_peer_certificate(client.ssl()));
    std::array<unsigned char, 20> digest{};
    X509_digest(certificate.get(), EVP_sha1(), digest.data(), nullptr);
    return digest;
  };
  TlsClient before(server.port, server.client());
  ASSERT_TRUE(before.Handshake());
  ASSERT_TRUE(before.Ping());
  server.Renew();
  EXPECT_TRUE(Eventually([&] {
    TlsClient after(server.port, server.client());
    return after.Handshake() && after.Ping() && shown(after) != shown(before);
  }));
  // Half a renewal: what fits together stays in use.
  std::filesystem::rename(server.path() + "/tls.key", server.path() + "/tls.old");
  usleep(1'100'000);
  TlsClient meanwhile(server.port, server.client());
  EXPECT_TRUE(meanwhile.Handshake() && meanwhile.Ping());
  EXPECT_TRUE(before.Ping());
}

TEST_P(RpcTls, ClientRefusesAServerOfAnotherAuthority) {
  TlsServer server;
  TlsDir other;
  TlsClient client(server.port, {.ca_pem = other.ca()});
  EXPECT_FALSE(client.Handshake());
}

}  // namespace
}  // namespace tarn::rpc
