// Client ids, owners and their sequence ids of 4.0: RFC 7530 sections 9.1, 16.13, 16.18, 16.30,
// 16.33, 16.34.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class Client40Test : public Nfs40Test {};

TEST_P(Client40Test, RenewNeedsAConfirmedClient) {
  EXPECT_EQ(client->Renew(), NFS4_OK);
  Compound unknown;
  unknown.Add(OP_RENEW, RENEW4args{.clientid = 0x123456789});
  nfsstat4 status = client->Run(unknown).status;
  EXPECT_TRUE(status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_EXPIRED);
}

TEST_P(Client40Test, ConfirmNeedsTheRightVerifier) {
  Compound compound;
  compound.Add(OP_SETCLIENTID_CONFIRM,
               SETCLIENTID_CONFIRM4args{.clientid = client->client_id(),
                                        .setclientid_confirm = {std::byte{1}, std::byte{2}}});
  EXPECT_EQ(client->Run(compound).status, NFS4ERR_STALE_CLIENTID);
}

TEST_P(Client40Test, SameLifeKeepsTheStateANewLifeDropsIt) {
  auto file = client->Create(root, "f");
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 0, 10).ok());
  auto callback_update = world.Mount(0, "client", 1);
  ASSERT_TRUE(callback_update);
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4_OK);
  auto reborn = world.Mount(0, "client", 2);
  ASSERT_TRUE(reborn);
  auto again = reborn->Open(root, "f");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(reborn->Lock(*again, "me", WRITE_LT, 0, 10).status, NFS4_OK);
  nfsstat4 old = client->Read(file->fh, file->state, 0, 1).status;
  EXPECT_TRUE(old == NFS4ERR_BAD_STATEID || old == NFS4ERR_STALE_STATEID || old == NFS4ERR_EXPIRED);
}

TEST_P(Client40Test, AnotherPrincipalCannotTakeTheName) {
  auto file = client->Create(root, "f");
  ClientOptions options = world.Options(0, "client", 9);
  options.identity = {.uid = 1000, .gid = 1000, .gids = {}, .none = false};
  EXPECT_EQ(Client::Mount(options).status, NFS4ERR_CLID_INUSE);
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4_OK);
}

TEST_P(Client40Test, OpenOfAnUnknownClient) {
  auto stranger = Client::Connect(world.Options(0, "stranger"));
  ASSERT_TRUE(stranger.ok());
  EXPECT_EQ((*stranger)->Create(root, "f").status, NFS4ERR_STALE_CLIENTID);
}

// OPEN with a chosen sequence id, without its confirmation.
CompoundReply RawOpen(Client& client, const Fh& root, uint32_t seqid, std::string_view name,
                      std::string_view owner = "raw") {
  OPEN4args open{.seqid = seqid,
                 .share_access = OPEN4_SHARE_ACCESS_BOTH,
                 .share_deny = 0,
                 .owner = {.clientid = client.client_id(), .owner = AsOpaque(owner)},
                 .openhow = {.opentype = OPEN4_CREATE, .how = {}},
                 .claim = {}};
  open.claim.file = name;
  Compound compound;
  compound.Put(root).Add(OP_OPEN, open).GetFh();
  return client.Run(compound);
}

Fh HandleOf(const CompoundReply& reply) {
  xdr::Opaque fh = reply.Get<GETFH4res>(2).resok4.object;
  return {fh.begin(), fh.end()};
}

nfsstat4 Confirm(Client& client, const Fh& fh, stateid4& state, uint32_t seqid) {
  Compound compound;
  compound.Put(fh).Add(OP_OPEN_CONFIRM, OPEN_CONFIRM4args{.open_stateid = state, .seqid = seqid});
  CompoundReply reply = client.Run(compound);
  if (reply.status == NFS4_OK) state = reply.Get<OPEN_CONFIRM4res>(1).resok4.open_stateid;
  return reply.status;
}

TEST_P(Client40Test, NewOwnerMustConfirm) {
  CompoundReply reply = RawOpen(*client, root, 50, "f");
  ASSERT_EQ(reply.status, NFS4_OK);
  const OPEN4resok ok = reply.Get<OPEN4res>(1).resok4;
  if ((ok.rflags & OPEN4_RESULT_CONFIRM) == 0) return;  // a server may know the owner already
  stateid4 state = ok.stateid;
  Fh fh = HandleOf(reply);
  EXPECT_NE(client->Read(fh, state, 0, 1).status, NFS4_OK) << "not confirmed yet";
  EXPECT_EQ(Confirm(*client, fh, state, 99), NFS4ERR_BAD_SEQID);
  EXPECT_EQ(Confirm(*client, fh, state, 51), NFS4_OK);
  EXPECT_EQ(client->Read(fh, state, 0, 1).status, NFS4_OK);
}

TEST_P(Client40Test, RetransmittedOpenIsAnsweredTheSame) {
  CompoundReply first = RawOpen(*client, root, 1, "f");
  ASSERT_EQ(first.status, NFS4_OK);
  stateid4 state = first.Get<OPEN4res>(1).resok4.stateid;
  Fh fh = HandleOf(first);
  if ((first.Get<OPEN4res>(1).resok4.rflags & OPEN4_RESULT_CONFIRM) != 0) {
    ASSERT_EQ(Confirm(*client, fh, state, 2), NFS4_OK);
  }
  CompoundReply second = RawOpen(*client, root, 3, "g");
  ASSERT_EQ(second.status, NFS4_OK);
  CompoundReply replay = RawOpen(*client, root, 3, "g");
  ASSERT_EQ(replay.status, NFS4_OK);
  EXPECT_EQ(replay.Get<OPEN4res>(1).resok4.stateid.seqid,
            second.Get<OPEN4res>(1).resok4.stateid.seqid);
  EXPECT_EQ(replay.Get<OPEN4res>(1).resok4.stateid.other,
            second.Get<OPEN4res>(1).resok4.stateid.other);
  EXPECT_EQ(RawOpen(*client, root, 9, "h").status, NFS4ERR_BAD_SEQID);
  EXPECT_EQ(RawOpen(*client, root, 1, "h").status, NFS4ERR_BAD_SEQID);
  EXPECT_EQ(client->Lookup(root, "h").status, NFS4ERR_NOENT);
}

TEST_P(Client40Test, RetransmittedCloseIsAnsweredTheSame) {
  auto file = client->Create(root, "f");
  uint32_t seqid = client->OwnerSequence(file->owner);
  stateid4 state = file->state;
  ASSERT_EQ(client->Close(*file), NFS4_OK);
  Compound again;
  again.Put(file->fh).Add(OP_CLOSE, CLOSE4args{.seqid = seqid, .open_stateid = state});
  EXPECT_EQ(client->Run(again).status, NFS4_OK);
}

TEST_P(Client40Test, RetransmittedNonIdempotentCallIsDoneOnce) {
  // The same xid and bytes on the same connection: the duplicate request cache answers.
  auto send = [this](uint32_t xid, const Compound& compound) -> nfsstat4 {
    xdr::Encoder head = compound.Head(0, nullptr);
    auto& connection = client->connection();
    if (!connection.Send(xid, NFSPROC4_COMPOUND, {&head, &compound.ops()}).ok()) return kNoAnswer;
    auto reply = connection.Receive();
    if (!reply.ok()) return kNoAnswer;
    return CompoundReply(std::move(*reply), false).status;
  };
  ASSERT_TRUE(client->Mkdir(root, "d").ok());
  Compound remove;
  remove.Put(root).Add(OP_REMOVE, REMOVE4args{.target = "d"});
  EXPECT_EQ(send(777, remove), NFS4_OK);
  EXPECT_EQ(send(777, remove), NFS4_OK) << "a retransmission";
  EXPECT_EQ(send(778, remove), NFS4ERR_NOENT) << "a new request";
}

TEST_P(Client40Test, LockOwnersCountToo) {
  auto file = client->Create(root, "f");
  auto lock = client->Lock(*file, "me", WRITE_LT, 0, 10);
  ASSERT_TRUE(lock.ok());
  Compound wrong;
  wrong.Put(file->fh).Add(OP_LOCKU, LOCKU4args{.locktype = WRITE_LT,
                                               .seqid = client->OwnerSequence("me") + 5,
                                               .lock_stateid = lock->state,
                                               .offset = 0,
                                               .length = 10});
  EXPECT_EQ(client->Run(wrong).status, NFS4ERR_BAD_SEQID);
  EXPECT_EQ(client->Unlock(*file, *lock, 0, 10), NFS4_OK);
}

NFS_SUITE(Client40Test, Settings40());

}  // namespace
}  // namespace tarn::nfs_test
