// Several connections of one client: RFC 8881 sections 2.10.5 (trunking), 2.10.6 (exactly once),
// 2.10.3.1 and 18.34 (BIND_CONN_TO_SESSION), and what SEQUENCE tells of back channels (18.46.3).
#include "tests/nfs/delegation_world.h"

namespace tarn::nfs_test {
namespace {

class TrunkingTest : public DelegationTest {
 protected:
  static Compound Mkdir(const Fh& directory, std::string_view name) {
    Compound compound;
    compound.Put(directory).Add(
        OP_CREATE, CREATE4args{.objtype = {.type = NF4DIR}, .objname = name, .createattrs = {}});
    return compound;
  }
  static EXCHANGE_ID4res ExchangeId(Client& by, CompoundReply& reply) {
    client_owner4 owner;
    std::ranges::fill(owner.co_verifier, std::byte{9});
    owner.co_ownerid = AsOpaque("trunked");
    Compound compound;
    compound.Add(OP_EXCHANGE_ID, EXCHANGE_ID4args{.eia_clientowner = owner,
                                                  .eia_flags = 0,
                                                  .eia_state_protect = {},
                                                  .eia_client_impl_id = {}});
    reply = by.RunBare(compound);
    EXPECT_EQ(reply.status, NFS4_OK);
    return reply.Get<EXCHANGE_ID4res>(0);
  }
  channel_dir_from_server4 Bind(Client& by, channel_dir_from_client4 direction) {
    Compound compound;
    compound.Add(OP_BIND_CONN_TO_SESSION,
                 BIND_CONN_TO_SESSION4args{.bctsa_sessid = by.session_id(),
                                           .bctsa_dir = direction,
                                           .bctsa_use_conn_in_rdma_mode = false});
    CompoundReply reply = by.RunBare(compound);
    EXPECT_EQ(reply.status, NFS4_OK);
    return reply.Get<BIND_CONN_TO_SESSION4res>(0).bctsr_resok4.bctsr_dir;
  }
  bool FlagsBecome(uint32_t flags) { return BackChannelFlagsBecome(world, *holder, flags); }
  // Somebody wants what the holder has; its recall comes over the connection that is current.
  void ExpectRecallHere(uint32_t sequence) {
    EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
    auto& calls = holder->callbacks().calls;
    while (calls.empty()) ASSERT_TRUE(holder->WaitCallback());
    EXPECT_EQ(calls.back().op, OP_CB_RECALL);
    EXPECT_EQ(calls.back().sequence.csa_sequenceid, sequence);
  }
};

TEST_P(TrunkingTest, SlotsAreOfTheSessionNotOfTheConnection) {
  auto first = client->AddConnection();
  ASSERT_TRUE(first);
  Compound compound = Mkdir(root, "once");
  SEQUENCE4args sequence = client->NextSequence(3);
  ASSERT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
  auto second = client->Use(std::move(first));
  EXPECT_EQ(client->RunWith(sequence, compound).status, NFS4_OK) << "not NFS4ERR_EXIST";
  EXPECT_EQ(client->RunWith(client->NextSequence(3), compound).status, NFS4ERR_EXIST);
  first = client->Use(std::move(second));
  first.reset();
  EXPECT_EQ(client->Root().status, NFS4_OK) << "the other one goes on";
}

TEST_P(TrunkingTest, SixteenConnections) {
  std::vector<std::unique_ptr<nfs_client::RpcConnection>> others;
  for (uint32_t i = 0; i < 15; ++i) {
    others.push_back(holder->AddConnection());
    ASSERT_TRUE(others.back());
    EXPECT_EQ(Bind(*holder, CDFC4_FORE_OR_BOTH), CDFS4_BOTH);
    Compound compound = Mkdir(root, "d" + std::to_string(i));
    EXPECT_EQ(holder->RunWith(holder->NextSequence(i), compound).status, NFS4_OK);
  }
  for (auto& other : others) {
    other = holder->Use(std::move(other));
    EXPECT_EQ(holder->Root().status, NFS4_OK);
  }
  EXPECT_EQ(Names(root).size(), 16U);
}

// What a client needs to find that two addresses, or connections, lead to one server.
TEST_P(TrunkingTest, EveryConnectionTellsTheSameServer) {
  auto second = Client::Connect(world.Options(minor(), "second"));
  ASSERT_TRUE(second.ok());
  CompoundReply one;
  CompoundReply two;
  EXCHANGE_ID4res a = ExchangeId(*client, one);
  EXCHANGE_ID4res b = ExchangeId(**second, two);
  const server_owner4& owner = a.eir_resok4.eir_server_owner;
  EXPECT_EQ(owner.so_minor_id, b.eir_resok4.eir_server_owner.so_minor_id);
  EXPECT_TRUE(std::ranges::equal(owner.so_major_id, b.eir_resok4.eir_server_owner.so_major_id));
  EXPECT_TRUE(std::ranges::equal(a.eir_resok4.eir_server_scope, b.eir_resok4.eir_server_scope));
}

TEST_P(TrunkingTest, BindsInEveryDirection) {
  ASSERT_TRUE(holder->Reconnect());
  EXPECT_EQ(Bind(*holder, CDFC4_FORE), CDFS4_FORE);
  EXPECT_EQ(Bind(*holder, CDFC4_BACK), CDFS4_BACK);
  EXPECT_EQ(Bind(*holder, CDFC4_FORE_OR_BOTH), CDFS4_BOTH);
  EXPECT_EQ(Bind(*holder, CDFC4_BACK_OR_BOTH), CDFS4_BOTH);
  EXPECT_EQ(holder->Root().status, NFS4_OK);
}

TEST_P(TrunkingTest, TheBackChannelMovesToTheConnectionThatIsLeft) {
  OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  auto first = holder->AddConnection();
  ASSERT_EQ(Bind(*holder, CDFC4_BACK_OR_BOTH), CDFS4_BOTH);
  first.reset();
  EXPECT_TRUE(FlagsBecome(0));
  ExpectRecallHere(1);
}

TEST_P(TrunkingTest, TheNewestConnectionMayGoToo) {
  OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  auto first = holder->AddConnection();
  ASSERT_EQ(Bind(*holder, CDFC4_BACK_OR_BOTH), CDFS4_BOTH);
  holder->Use(std::move(first));
  EXPECT_TRUE(FlagsBecome(0));
  ExpectRecallHere(1);
}

// The call had left by a connection that ended before its answer: it comes again, in its slot.
TEST_P(TrunkingTest, ACallIsSentAgainOverAnotherConnection) {
  OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  auto first = holder->AddConnection();
  ASSERT_EQ(Bind(*holder, CDFC4_BACK_OR_BOTH), CDFS4_BOTH);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  holder->Use(std::move(first));
  ExpectRecallHere(1);
}

TEST_P(TrunkingTest, APathOfOneSessionIsToldApartFromThatOfTheClient) {
  SEQUENCE4args of_first = holder->NextSequence(0);
  auto first = holder->AddConnection();
  ASSERT_EQ(holder->CreateSession(), NFS4_OK);
  EXPECT_NE(holder->session_id(), of_first.sa_sessionid);
  first.reset();
  Compound compound;
  compound.Root();
  for (int i = 0; i < 2000; ++i, ++of_first.sa_sequenceid) {
    world.Advance(std::chrono::seconds(0));
    EXPECT_EQ(holder->RunWith(of_first, compound).status, NFS4_OK);
    if (holder->status_flags() != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(holder->status_flags(), SEQ4_STATUS_CB_PATH_DOWN_SESSION) << "the other one has a path";
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_EQ(holder->status_flags(), 0U);
}

TEST_P(TrunkingTest, NothingToTell) {
  auto opened = client->Open(root, "file");
  ASSERT_TRUE(client->Lock(*opened, "me", WRITE_LT, 0, 10).ok());
  EXPECT_EQ(client->Renew(), NFS4_OK);
  EXPECT_EQ(client->status_flags(), 0U) << "it never wanted a back channel";
  world.Advance(2 * World::kLease);
  EXPECT_EQ(client->Renew(), NFS4_OK);
  EXPECT_EQ(client->status_flags(), 0U) << "nobody wanted what it has";
  EXPECT_EQ(client->Close(*opened), NFS4_OK);
}

NFS_SUITE(TrunkingTest, Settings41());

}  // namespace
}  // namespace tarn::nfs_test
