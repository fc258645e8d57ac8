// Client ids and sessions of 4.1: RFC 8881 sections 2.4, 2.10, 18.34 to 18.37, 18.46, 18.50, 18.51.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class SessionTest : public Nfs41Test {
 protected:
  // A compound of one CREATE of a directory: it must happen once.
  static Compound MkdirCompound(const Fh& directory, std::string_view name) {
    Compound compound;
    compound.Put(directory).Add(
        OP_CREATE, CREATE4args{.objtype = {.type = NF4DIR}, .objname = name, .createattrs = {}});
    return compound;
  }
  static CompoundReply CreateSession(Client& c, uint32_t sequence,
                                     uint32_t back_request_bytes = 8192) {
    channel_attrs4 fore{.ca_headerpadsize = 0,
                        .ca_maxrequestsize = 8192,
                        .ca_maxresponsesize = 8192,
                        .ca_maxresponsesize_cached = 2048,
                        .ca_maxoperations = 8,
                        .ca_maxrequests = 4,
                        .ca_rdma_ird = {}};
    channel_attrs4 back = fore;
    back.ca_maxrequestsize = back_request_bytes;
    Compound compound;
    compound.Add(OP_CREATE_SESSION, CREATE_SESSION4args{.csa_clientid = c.client_id(),
                                                        .csa_sequence = sequence,
                                                        .csa_flags = 0,
                                                        .csa_fore_chan_attrs = fore,
                                                        .csa_back_chan_attrs = back,
                                                        .csa_cb_program = 0,
                                                        .csa_sec_parms = {{}}});
    return c.RunBare(compound);
  }
};

TEST_P(SessionTest, ReplayIsAnsweredFromTheCache) {
  Compound compound = MkdirCompound(root, "once");
  SEQUENCE4args sequence = client->NextSequence(3);
  CompoundReply first = client->RunWith(sequence, compound);
  ASSERT_EQ(first.status, NFS4_OK);
  CompoundReply second = client->RunWith(sequence, compound);
  EXPECT_EQ(second.status, NFS4_OK) << "not NFS4ERR_EXIST";
  EXPECT_TRUE(std::ranges::equal(first.rpc().body(), second.rpc().body()));
  EXPECT_EQ(Names(root), std::vector<std::string>{"once"});
}

TEST_P(SessionTest, ReplayOverANewConnection) {
  Compound compound = MkdirCompound(root, "once");
  SEQUENCE4args sequence = client->NextSequence(0);
  ASSERT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
  ASSERT_TRUE(client->Reconnect());
  EXPECT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
  EXPECT_EQ(client->Remove(root, "once"), NFS4_OK);
}

TEST_P(SessionTest, ErrorsAreReplayedToo) {
  Compound compound = MkdirCompound(root, "twice");
  ASSERT_EQ(client->Run(compound).status, NFS4_OK);
  SEQUENCE4args sequence = client->NextSequence(0);
  ASSERT_EQ(client->RunWith(sequence, compound).status, NFS4ERR_EXIST);
  ASSERT_EQ(client->Remove(root, "twice") == NFS4_OK, true);
  // Slot 0 has moved on with the REMOVE, so ask on a slot of its own.
  SEQUENCE4args other = client->NextSequence(5);
  ASSERT_EQ(client->RunWith(other, compound).status, NFS4_OK);
  ASSERT_EQ(client->Remove(root, "twice"), NFS4_OK);
  EXPECT_EQ(client->RunWith(other, compound).status, NFS4_OK);
  EXPECT_TRUE(Names(root).empty()) << "the replay made nothing";
}

TEST_P(SessionTest, UncachedReplay) {
  Compound compound = MkdirCompound(root, "d");
  SEQUENCE4args sequence = client->NextSequence(0, false);
  ASSERT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
  nfsstat4 replay = client->RunWith(sequence, compound).status;
  EXPECT_TRUE(replay == NFS4ERR_RETRY_UNCACHED_REP || replay == NFS4_OK);
}

TEST_P(SessionTest, SequenceIdsOutOfOrder) {
  Compound compound;
  compound.Root();
  SEQUENCE4args sequence = client->NextSequence(2);
  ASSERT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
  for (int skip : {2, 10, -1, -5}) {
    SEQUENCE4args wrong = sequence;
    wrong.sa_sequenceid += static_cast<uint32_t>(skip);
    EXPECT_EQ(client->RunWith(wrong, compound).status, NFS4ERR_SEQ_MISORDERED) << skip;
  }
  EXPECT_EQ(client->RunWith(client->NextSequence(2), compound).status, NFS4_OK);
}

TEST_P(SessionTest, FalseRetryIsNoticedOrReplayed) {
  Compound first = MkdirCompound(root, "a");
  SEQUENCE4args sequence = client->NextSequence(0);
  ASSERT_EQ(client->RunWith(sequence, first).status, NFS4_OK);
  Compound different = MkdirCompound(root, "b");
  nfsstat4 status = client->RunWith(sequence, different).status;
  EXPECT_TRUE(status == NFS4ERR_SEQ_FALSE_RETRY || status == NFS4_OK);
  EXPECT_EQ(Names(root), std::vector<std::string>{"a"}) << "it is not run in any case";
}

TEST_P(SessionTest, BadSlotAndBadSession) {
  Compound compound;
  compound.Root();
  SEQUENCE4args sequence = client->NextSequence(0);
  SEQUENCE4args slot = sequence;
  slot.sa_slotid = client->fore_channel().ca_maxrequests;
  EXPECT_EQ(client->RunWith(slot, compound).status, NFS4ERR_BADSLOT);
  slot.sa_slotid = 0xffffffff;
  EXPECT_EQ(client->RunWith(slot, compound).status, NFS4ERR_BADSLOT);
  SEQUENCE4args session = sequence;
  session.sa_sessionid[3] ^= std::byte{0xff};
  EXPECT_EQ(client->RunWith(session, compound).status, NFS4ERR_BADSESSION);
  EXPECT_EQ(client->RunWith(sequence, compound).status, NFS4_OK);
}

TEST_P(SessionTest, SequencePosition) {
  Compound no_sequence;
  no_sequence.Root();
  EXPECT_EQ(client->RunBare(no_sequence).status, NFS4ERR_OP_NOT_IN_SESSION);
  Compound twice;
  twice.Add(OP_SEQUENCE, client->NextSequence(1));
  EXPECT_EQ(client->Run(twice).status, NFS4ERR_SEQUENCE_POS);
  Compound late;
  late.Root().Add(OP_SEQUENCE, client->NextSequence(1));
  CompoundReply reply = client->RunBare(late);
  EXPECT_EQ(reply.status, NFS4ERR_OP_NOT_IN_SESSION);
  Compound not_only;
  not_only
      .Add(OP_EXCHANGE_ID,
           EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = {}, .co_ownerid = AsOpaque("x")},
                            .eia_flags = 0,
                            .eia_state_protect = {},
                            .eia_client_impl_id = {}})
      .Root();
  EXPECT_EQ(client->RunBare(not_only).status, NFS4ERR_NOT_ONLY_OP);
}

TEST_P(SessionTest, DestroyedSessionAndItsSuccessor) {
  ASSERT_EQ(client->DestroySession(), NFS4_OK);
  EXPECT_EQ(client->Root().status, NFS4ERR_BADSESSION);
  EXPECT_EQ(client->DestroySession(), NFS4ERR_BADSESSION);
  ASSERT_EQ(client->CreateSession(), NFS4_OK);
  EXPECT_EQ(client->Root().status, NFS4_OK);
}

TEST_P(SessionTest, DestroyClientId) {
  EXPECT_EQ(client->DestroyClientId(), NFS4ERR_CLIENTID_BUSY) << "it has a session";
  ASSERT_EQ(client->DestroySession(), NFS4_OK);
  EXPECT_EQ(client->DestroyClientId(), NFS4_OK);
  EXPECT_EQ(client->DestroyClientId(), NFS4ERR_STALE_CLIENTID);
  EXPECT_EQ(client->CreateSession(), NFS4ERR_STALE_CLIENTID);
}

TEST_P(SessionTest, CreateSessionReplayAndOrder) {
  auto fresh = Client::Connect(world.Options(minor(), "fresh"));
  ASSERT_TRUE(fresh.ok());
  Client& c = **fresh;
  ASSERT_EQ(c.ExchangeId(), NFS4_OK);
  auto create = [&c](uint32_t sequence) { return CreateSession(c, sequence); };
  EXPECT_EQ(create(7).status, NFS4ERR_SEQ_MISORDERED);
  CompoundReply first = create(1);
  ASSERT_EQ(first.status, NFS4_OK);
  CompoundReply replay = create(1);
  ASSERT_EQ(replay.status, NFS4_OK);
  EXPECT_EQ(first.Get<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid,
            replay.Get<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid);
  CompoundReply second = create(2);
  ASSERT_EQ(second.status, NFS4_OK) << "a client may have several sessions";
  EXPECT_NE(first.Get<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid,
            second.Get<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid);
}

// RFC 8881 section 18.35.4: nobody waits for ever for a client that never confirms itself.
TEST_P(SessionTest, UnconfirmedClientIsForgottenAfterALease) {
  auto fresh = Client::Connect(world.Options(minor(), "fresh"));
  ASSERT_TRUE(fresh.ok());
  ASSERT_EQ((*fresh)->ExchangeId(), NFS4_OK);
  world.Advance(World::kLease - std::chrono::seconds(1));
  auto other = Client::Connect(world.Options(minor(), "other"));
  ASSERT_EQ((*other)->ExchangeId(), NFS4_OK);
  world.Advance(std::chrono::seconds(2));
  EXPECT_EQ((*fresh)->CreateSession(), NFS4ERR_STALE_CLIENTID);
  EXPECT_EQ((*other)->CreateSession(), NFS4_OK);
}

// RFC 8881 section 18.36.3: a channel too small to be of use is refused. Nothing was made, so the
// client may try again with the same sequence id or the next one.
TEST_P(SessionTest, CreateSessionThatFailedMayBeTriedAgain) {
  auto fresh = Client::Connect(world.Options(1, "fresh"));
  ASSERT_TRUE(fresh.ok());
  Client& c = **fresh;
  ASSERT_EQ(c.ExchangeId(), NFS4_OK);
  auto create = [&c](uint32_t sequence, uint32_t back_request_bytes) {
    return CreateSession(c, sequence, back_request_bytes).status;
  };
  EXPECT_EQ(create(1, 10), NFS4ERR_TOOSMALL);
  EXPECT_EQ(create(1, 10), NFS4ERR_TOOSMALL);
  EXPECT_EQ(create(1, 8192), NFS4_OK);
  EXPECT_EQ(create(1, 8192), NFS4_OK) << "the same reply again";
  EXPECT_EQ(create(2, 10), NFS4ERR_TOOSMALL);
  EXPECT_EQ(create(3, 8192), NFS4_OK);
  EXPECT_EQ(create(1, 8192), NFS4ERR_SEQ_MISORDERED);
}

TEST_P(SessionTest, ChannelLimitsAreKept) {
  ClientOptions options = world.Options(minor(), "small");
  options.slots = 100'000;
  options.request_bytes = 64 << 20;
  options.reply_bytes = 2048;
  auto small = Client::Mount(options);
  ASSERT_TRUE(small.ok());
  Client& c = **small;
  EXPECT_LE(c.fore_channel().ca_maxrequests, 4096U);
  EXPECT_LE(c.fore_channel().ca_maxrequestsize, 2U << 20);
  EXPECT_LE(c.fore_channel().ca_maxresponsesize, 2048U);
  MakeFile(root, "big", std::string(8000, 'x'));
  auto fh = c.Walk("big");
  ASSERT_TRUE(fh.ok());
  auto read = c.Read(*fh, {}, 0, 8000);
  if (read.ok()) {
    EXPECT_LT(read->data.size(), 2048U) << "a short read may take the place of an error";
  } else {
    EXPECT_EQ(read.status, NFS4ERR_REP_TOO_BIG);
  }
  EXPECT_EQ(c.Root().status, NFS4_OK);
}

TEST_P(SessionTest, ReplyTooBigToCache) {
  MakeFile(root, "big", std::string(20'000, 'x'));
  Fh fh = *client->Walk("big");
  Compound compound;
  compound.Put(fh).Add(OP_READ, READ4args{.stateid = {}, .offset = 0, .count = 20'000});
  EXPECT_EQ(client->RunWith(client->NextSequence(1, true), compound).status,
            NFS4ERR_REP_TOO_BIG_TO_CACHE);
  EXPECT_EQ(client->RunWith(client->NextSequence(2, false), compound).status, NFS4_OK);
}

TEST_P(SessionTest, ANewLifeOfAClientDropsTheStateOfTheOld) {
  auto file = client->Create(root, "f");
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 0, 10).ok());
  auto reborn = world.Mount(minor(), "client", 2);
  ASSERT_TRUE(reborn);
  auto again = reborn->Open(root, "f");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(reborn->Lock(*again, "me too", WRITE_LT, 0, 10).status, NFS4_OK);
  EXPECT_EQ(client->Root().status, NFS4ERR_BADSESSION);
}

TEST_P(SessionTest, ExchangeIdOfTheSameLifeKeepsTheState) {
  auto file = client->Create(root, "f");
  auto second = Client::Connect(world.Options(minor(), "client", 1));
  ASSERT_TRUE(second.ok());
  ASSERT_EQ((*second)->ExchangeId(), NFS4_OK);
  EXPECT_EQ((*second)->client_id(), client->client_id());
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4_OK);
}

TEST_P(SessionTest, ReclaimCompleteOnlyOnce) {
  EXPECT_EQ(client->ReclaimComplete(), NFS4ERR_COMPLETE_ALREADY);
}

TEST_P(SessionTest, BindConnectionToSession) {
  ASSERT_TRUE(client->Reconnect());
  Compound compound;
  compound.Add(OP_BIND_CONN_TO_SESSION,
               BIND_CONN_TO_SESSION4args{.bctsa_sessid = client->session_id(),
                                         .bctsa_dir = CDFC4_FORE_OR_BOTH,
                                         .bctsa_use_conn_in_rdma_mode = false});
  CompoundReply reply = client->RunBare(compound);
  ASSERT_EQ(reply.status, NFS4_OK);
  EXPECT_EQ(reply.Get<BIND_CONN_TO_SESSION4res>(0).bctsr_resok4.bctsr_sessid, client->session_id());
  EXPECT_EQ(client->Root().status, NFS4_OK);
}

TEST_P(SessionTest, PnfsAndSsvAreRefused) {
  Compound layout;
  layout.Root().Add(OP_LAYOUTGET, LAYOUTGET4args{});
  nfsstat4 status = client->Run(layout).status;
  EXPECT_TRUE(status == NFS4ERR_NOTSUPP || status == NFS4ERR_LAYOUTUNAVAILABLE);
  Compound ssv;
  ssv.Add(OP_EXCHANGE_ID,
          EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = {}, .co_ownerid = AsOpaque("ssv")},
                           .eia_flags = 0,
                           .eia_state_protect = {.spa_how = SP4_SSV},
                           .eia_client_impl_id = {}});
  EXPECT_NE(client->RunBare(ssv).status, NFS4_OK);
  for (uint32_t unknown : {0x00000800U, EXCHGID4_FLAG_SUPP_FENCE_OPS}) {
    client_owner4 owner{.co_verifier = {}, .co_ownerid = AsOpaque("flags")};
    Compound flags;
    flags.Add(OP_EXCHANGE_ID, EXCHANGE_ID4args{.eia_clientowner = owner,
                                               .eia_flags = unknown,
                                               .eia_state_protect = {},
                                               .eia_client_impl_id = {}});
    EXPECT_EQ(client->RunBare(flags).status, NFS4ERR_INVAL);
  }
}

NFS_SUITE(SessionTest, Settings41());

}  // namespace
}  // namespace tarn::nfs_test
