// Clients are those of an identity (state/client_key.h): what one identity has, connections of
// another one cannot get at, whatever they know of it.
#include <gtest/gtest.h>

#include <set>

#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

class IdentityTest : public ::testing::Test {
 protected:
  // What the next calls come by; "" is nobody.
  void Become(std::string_view who) {
    std::array fields{std::string_view("tls"), who};
    h_.peer.admission =
        who.empty() ? nullptr : std::make_shared<rpc::Admission>(rpc::PeerIdentity::Of(fields));
  }
  EXCHANGE_ID4resok ExchangeId(const std::string& owner = "node") {
    EXCHANGE_ID4args exchange;
    exchange.eia_clientowner.co_verifier[0] = std::byte{1};
    exchange.eia_clientowner.co_ownerid = Keep(owner);
    told_ = h_.Run(1, {Op(OP_EXCHANGE_ID, exchange)});
    EXPECT_EQ(told_.status(), NFS4_OK);
    return told_.at<EXCHANGE_ID4res>(0).eir_resok4;  // views into told_
  }
  static std::string Text(xdr::Opaque bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  nfsstat4 Alone(const nfs_argop4& op, uint32_t minor = 1) { return h_.Run(minor, {op}).status(); }
  nfsstat4 Sequence(Client41& client) {
    nfsstat4 status = h_.Run(1, {client.NextSequence()}).status();
    if (status != NFS4_OK) --client.sequences[0];
    return status;
  }
  nfs_argop4 Bind(const Client41& client) {
    return Op(OP_BIND_CONN_TO_SESSION,
              BIND_CONN_TO_SESSION4args{.bctsa_sessid = client.session,
                                        .bctsa_dir = CDFC4_FORE,
                                        .bctsa_use_conn_in_rdma_mode = false});
  }
  SETCLIENTID4resok SetClientId(const std::string& owner = "node") {
    SETCLIENTID4args set;
    set.client.verifier[0] = std::byte{1};
    set.client.id = Keep(owner);
    Reply reply = h_.Run(0, {Op(OP_SETCLIENTID, set)});
    EXPECT_EQ(reply.status(), NFS4_OK);
    return reply.at<SETCLIENTID4res>(0).resok4;
  }
  nfsstat4 Confirm(const SETCLIENTID4resok& made) {
    return Alone(Op(OP_SETCLIENTID_CONFIRM,
                    SETCLIENTID_CONFIRM4args{.clientid = made.clientid,
                                             .setclientid_confirm = made.setclientid_confirm}),
                 0);
  }
  nfsstat4 Renew(clientid4 id) { return Alone(Op(OP_RENEW, RENEW4args{.clientid = id}), 0); }

  Harness h_;
  Reply told_;
};

// Else Linux takes two mounts for paths to one server, and what the second one's users do is sent
// by the first one's connection.
TEST_F(IdentityTest, TwoIdentitiesOfOneNodeAreTwoClientsOfTwoServers) {
  std::set<clientid4> clients;
  std::set<std::string> owners;
  std::set<std::string> scopes;
  for (const char* who : {"", "a", "b"}) {
    Become(who);
    EXCHANGE_ID4resok ok = ExchangeId();
    clients.insert(ok.eir_clientid);
    owners.insert(Text(ok.eir_server_owner.so_major_id));
    scopes.insert(Text(ok.eir_server_scope));
  }
  EXPECT_EQ(clients.size(), 3U);
  EXPECT_EQ(owners.size(), 3U);
  EXPECT_EQ(scopes.size(), 3U);
}

TEST_F(IdentityTest, TheSameIdentityOverANewConnectionIsTheSameClient) {
  Become("a");
  Client41 client(h_, "node");
  client.Start();
  EXCHANGE_ID4resok before = ExchangeId();
  std::string owner = Text(before.eir_server_owner.so_major_id);
  EXPECT_EQ(before.eir_clientid, client.id);
  h_.peer.connection = 2;
  h_.peer.address = "192.0.2.77";
  Become("a");
  EXPECT_EQ(Sequence(client), NFS4_OK);
  EXPECT_EQ(Alone(Bind(client)), NFS4_OK);
  EXCHANGE_ID4resok after = ExchangeId();
  EXPECT_EQ(after.eir_clientid, client.id);
  EXPECT_EQ(Text(after.eir_server_owner.so_major_id), owner);
}

TEST_F(IdentityTest, ASessionIsForItsIdentityAlone) {
  Become("a");
  Client41 client(h_, "node");
  client.Start();
  nfs_argop4 destroy =
      Op(OP_DESTROY_SESSION, DESTROY_SESSION4args{.dsa_sessionid = client.session});
  nfs_argop4 forget = Op(OP_DESTROY_CLIENTID, DESTROY_CLIENTID4args{.dca_clientid = client.id});
  CREATE_SESSION4args create;
  create.csa_clientid = client.id;
  create.csa_sequence = 2;
  for (const char* who : {"b", ""}) {
    Become(who);
    EXPECT_EQ(Sequence(client), NFS4ERR_BADSESSION);
    EXPECT_EQ(Alone(Bind(client)), NFS4ERR_BADSESSION);
    EXPECT_EQ(Alone(destroy), NFS4ERR_BADSESSION);
    EXPECT_EQ(Alone(Op(OP_CREATE_SESSION, create)), NFS4ERR_STALE_CLIENTID);
    EXPECT_EQ(Alone(forget), NFS4ERR_STALE_CLIENTID);
    Client41 own(h_, "node");
    own.Start();
    EXPECT_EQ(own.Run({destroy}).status(), NFS4ERR_BADSESSION);
  }
  Become("a");
  EXPECT_EQ(Sequence(client), NFS4_OK);
  EXPECT_EQ(Alone(destroy), NFS4_OK);
  EXPECT_EQ(Alone(forget), NFS4_OK);
}

// Plain NFS with a name that another one, who came by TLS, gave itself too: nothing is taken over.
TEST_F(IdentityTest, ANewLifeOfTheNameUnderAnotherIdentityTakesNothing) {
  Become("a");
  Client41 client(h_, "node");
  client.Start();
  std::string handle;
  stateid4 open = client.OpenFile("file", handle, 3, OPEN4_SHARE_DENY_BOTH);
  Become("");
  Client41 thief(h_, "node", 2);
  thief.Start();
  std::string unused;
  thief.OpenFile("file", unused, 3, 0, NFS4ERR_SHARE_DENIED);
  Become("a");
  READ4args read{.stateid = open, .offset = 0, .count = 10};
  EXPECT_EQ(client.Run({PutFh(Keep(handle)), Op(OP_READ, read)}).status(), NFS4_OK);
}

TEST_F(IdentityTest, AStateidOfAnotherClientIsRefused) {
  Become("a");
  Client41 client(h_, "node");
  client.Start();
  std::string handle;
  stateid4 open = client.OpenFile("file", handle);
  READ4args read{.stateid = open, .offset = 0, .count = 10};
  WRITE4args write{.stateid = open, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")};
  CLOSE4args close{.seqid = 0, .open_stateid = open};
  // Also of one of the same identity.
  for (const char* who : {"a", "b", ""}) {
    Become(who);
    Client41 other(h_, "another");
    other.Start();
    for (const auto& op : {Op(OP_READ, read), Op(OP_WRITE, write), Op(OP_CLOSE, close)}) {
      EXPECT_EQ(other.Run({PutFh(Keep(handle)), op}).status(), NFS4ERR_BAD_STATEID);
    }
  }
}

TEST_F(IdentityTest, AClientIdOf40IsForItsIdentityAlone) {
  Become("a");
  SETCLIENTID4resok made = SetClientId();
  Become("b");
  EXPECT_EQ(Confirm(made), NFS4ERR_STALE_CLIENTID);
  Become("a");
  ASSERT_EQ(Confirm(made), NFS4_OK);
  OPEN4args open = Client41(h_, "").OpenArgs("file", 3, 0, true);
  open.owner.clientid = made.clientid;
  Reply opened = h_.Run(0, {Op(OP_PUTROOTFH), Op(OP_OPEN, open), Op(OP_GETFH)});
  ASSERT_EQ(opened.status(), NFS4_OK);
  std::string handle = Text(opened.at<GETFH4res>(2).resok4.object);
  OPEN_CONFIRM4args confirm{.open_stateid = opened.at<OPEN4res>(1).resok4.stateid, .seqid = 1};
  for (const char* who : {"b", ""}) {
    Become(who);
    EXPECT_NE(SetClientId().clientid, made.clientid);
    EXPECT_EQ(Confirm(made), NFS4ERR_STALE_CLIENTID);
    EXPECT_EQ(Renew(made.clientid), NFS4ERR_STALE_CLIENTID);
    open.seqid = 1;
    EXPECT_EQ(h_.Run(0, {Op(OP_PUTROOTFH), Op(OP_OPEN, open)}).status(), NFS4ERR_STALE_CLIENTID);
    EXPECT_EQ(h_.Run(0, {PutFh(Keep(handle)), Op(OP_OPEN_CONFIRM, confirm)}).status(),
              NFS4ERR_EXPIRED);
  }
  Become("a");
  EXPECT_EQ(Renew(made.clientid), NFS4_OK);
  EXPECT_EQ(h_.Run(0, {PutFh(Keep(handle)), Op(OP_OPEN_CONFIRM, confirm)}).status(), NFS4_OK);
}

// 4.0 knows a retransmission by its address, and a node's pods have one address.
TEST_F(IdentityTest, ARetransmissionIsOneOfItsIdentityOnly) {
  CREATE4args make;
  make.objtype.type = NF4DIR;
  make.objname = "once";
  auto request = h_.Encoded(0, {Op(OP_PUTROOTFH), Op(OP_CREATE, make)});
  Become("a");
  EXPECT_EQ(h_.RunRaw(request).status(), NFS4_OK);
  EXPECT_EQ(h_.RunRaw(request).status(), NFS4_OK);
  Become("b");
  EXPECT_EQ(h_.RunRaw(request).status(), NFS4ERR_EXIST);
}

TEST_F(IdentityTest, ARestartKeepsIdentitiesApart) {
  Become("a");
  Client41 client(h_, "node");
  client.Start();
  h_.Restart();
  Become("b");
  EXPECT_EQ(Sequence(client), NFS4ERR_BADSESSION);
  Become("");
  EXPECT_EQ(Sequence(client), NFS4ERR_BADSESSION);
  Become("a");
  EXPECT_EQ(Sequence(client), NFS4_OK);
}

TEST_F(IdentityTest, NoSessionIdTellsOfAnotherOne) {
  std::set<sessionid4> ids;
  std::set<std::byte> at[std::tuple_size_v<sessionid4>];
  constexpr size_t kSessions = 64;
  for (size_t i = 0; i < kSessions; ++i) {
    Client41 client(h_, "client " + std::to_string(i));
    client.Start();
    ids.insert(client.session);
    for (size_t byte = 0; byte < client.session.size(); ++byte)
      at[byte].insert(client.session[byte]);
  }
  EXPECT_EQ(ids.size(), kSessions);
  // Of 64 random bytes, fewer than 16 different ones come once in more than 10^30 runs.
  for (const auto& values : at) EXPECT_GE(values.size(), 16U);
}

}  // namespace
}  // namespace tarn::nfs4
