// Leases, server restarts, grace and reclaim: RFC 8881 sections 8.3, 8.4, 18.51; RFC 7530 section
// 9.6.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

using std::chrono::seconds;

class RecoveryTest : public NfsTest {
 protected:
  // The client as it is after it noticed the restart: new client id and session, nothing reclaimed.
  std::unique_ptr<Client> Return(const std::string& owner, uint64_t boot = 1) {
    auto back = Client::Mount(world.Options(minor(), owner, boot), false);
    EXPECT_EQ(back.status, NFS4_OK);
    return std::move(back.value);
  }
  Answer<OpenFile> Reclaim(Client& back, const Fh& fh, uint32_t access = OPEN4_SHARE_ACCESS_BOTH) {
    open_claim4 claim;
    claim.claim = CLAIM_PREVIOUS;
    claim.delegate_type = OPEN_DELEGATE_NONE;
    OpenRequest request;
    request.access = access;
    return back.OpenClaim(fh, claim, request);
  }
  // An open that excludes others: what grace is there for, beside locks.
  const OpenRequest exclusive = [] {
    OpenRequest request;
    request.deny = nfs4::OPEN4_SHARE_DENY_WRITE;
    return request;
  }();
  void SayComplete(Client& back) {
    if (minor() > 0) {
      EXPECT_EQ(back.ReclaimComplete(), NFS4_OK);
    }
  }
};

class Recovery41Test : public RecoveryTest {};

TEST_P(RecoveryTest, FileHandlesSurviveARestart) {
  Fh file = MakeFile(root, "f", "content");
  uint64_t change = client->GetAttributes(file)->change;
  world.Restart();
  auto back = Return("client");
  SayComplete(*back);
  auto attributes = back->GetAttributes(file);
  ASSERT_EQ(attributes.status, NFS4_OK);
  EXPECT_EQ(attributes->change, change);
  EXPECT_EQ(attributes->size, 7U);
  EXPECT_EQ(*back->Root(), root);
}

TEST_P(RecoveryTest, OldStateidsAreToldApart) {
  auto file = client->Create(root, "f");
  world.Restart();
  ASSERT_TRUE(client->Reconnect());
  if (minor() > 0) {
    // The session lives on, so that retries find their slot; the state has to be reclaimed.
    EXPECT_EQ(client->Root().status, NFS4_OK);
    EXPECT_NE(client->status_flags() & SEQ4_STATUS_RESTART_RECLAIM_NEEDED, 0U);
    nfsstat4 status = client->Read(file->fh, file->state, 0, 1).status;
    EXPECT_TRUE(status == NFS4ERR_STALE_STATEID || status == NFS4ERR_BAD_STATEID);
    EXPECT_EQ(Reclaim(*client, file->fh).status, NFS4_OK);
    SayComplete(*client);
    EXPECT_EQ(client->Root().status, NFS4_OK);
    EXPECT_EQ(client->status_flags() & SEQ4_STATUS_RESTART_RECLAIM_NEEDED, 0U);
  } else {
    EXPECT_EQ(client->Renew(), NFS4ERR_STALE_CLIENTID);
    EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4ERR_STALE_STATEID);
  }
}

TEST_P(RecoveryTest, AChangeSentAgainAfterARestartIsMadeOnce) {
  ASSERT_TRUE(client->Mkdir(root, "gone").ok());
  MakeFile(root, "old");
  Compound remove;
  remove.Put(root).Add(OP_REMOVE, REMOVE4args{.target = "gone"});
  Compound rename;
  rename.Put(root).SaveFh().Put(root).Add(OP_RENAME, RENAME4args{"old", "new"});
  if (minor() == 0) return;  // of 4.0 only the same connection's transport could tell
  SEQUENCE4args first = client->NextSequence(1);
  SEQUENCE4args second = client->NextSequence(2);
  ASSERT_EQ(client->RunWith(first, remove).status, NFS4_OK);
  ASSERT_EQ(client->RunWith(second, rename).status, NFS4_OK);
  world.Restart();
  ASSERT_TRUE(client->Reconnect());
  EXPECT_EQ(client->RunWith(first, remove).status, NFS4_OK) << "not NFS4ERR_NOENT";
  EXPECT_EQ(client->RunWith(second, rename).status, NFS4_OK);
  EXPECT_EQ(Names(root), std::vector<std::string>{"new"});
}

TEST_P(RecoveryTest, ReclaimOfOpensAndLocks) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 0, 10).ok());
  world.Restart();
  auto back = Return("client");
  auto reopened = Reclaim(*back, file->fh);
  ASSERT_EQ(reopened.status, NFS4_OK);
  EXPECT_EQ(back->Lock(*reopened, "me", WRITE_LT, 0, 10, true).status, NFS4_OK);
  SayComplete(*back);
  world.Advance(World::kLease / 2);
  EXPECT_EQ(back->Renew(), NFS4_OK);
  world.Advance(World::kLease / 2 + seconds(1));
  EXPECT_EQ(back->Renew(), NFS4_OK);
  auto other = Another("other");
  auto theirs = other->Open(root, "f");
  ASSERT_EQ(theirs.status, NFS4_OK);
  EXPECT_EQ(other->TestLock(theirs->fh, "they", WRITE_LT, 0, 10).status, NFS4ERR_DENIED);
}

TEST_P(RecoveryTest, NewStateWaitsForTheEndOfGrace) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 100, 1).ok());
  world.Restart();
  auto back = Return("client");
  auto newcomer = Return("newcomer");
  SayComplete(*newcomer);
  EXPECT_EQ(newcomer->Open(root, "f", exclusive).status, NFS4ERR_GRACE);
  auto harmless = newcomer->Create(root, "new");
  ASSERT_EQ(harmless.status, NFS4_OK) << "it is in nobody's way";
  EXPECT_EQ(newcomer->Lock(*harmless, "me", WRITE_LT, 0, 10).status, NFS4ERR_GRACE);
  EXPECT_EQ(newcomer->GetAttributes(file->fh).status, NFS4_OK) << "no state, no waiting";
  EXPECT_EQ(newcomer->Lookup(root, "f").status, NFS4_OK);
  auto reopened = Reclaim(*back, file->fh);
  ASSERT_EQ(reopened.status, NFS4_OK);
  EXPECT_EQ(back->Lock(*reopened, "me", WRITE_LT, 0, 10).status, NFS4ERR_GRACE)
      << "a lock that is no reclaim";
  SayComplete(*back);
  if (minor() == 0) world.EndGrace();
  world.Advance(seconds(1));
  if (minor() == 0) back->Renew();
  EXPECT_EQ(back->Close(*reopened), NFS4_OK);
  EXPECT_EQ(newcomer->minor() == 0 ? Another("newcomer2")->Open(root, "f", exclusive).status
                                   : newcomer->Open(root, "f", exclusive).status,
            NFS4_OK)
      << "grace ends when everybody has reclaimed";
}

// RFC 8881 section 8.4.2.1: what cannot collide with a reclaim need not wait.
TEST_P(RecoveryTest, LocksDoNotWaitWhereNobodyHadAny) {
  auto file = client->Create(root, "f", 0666);
  world.Restart();
  auto newcomer = Return("newcomer");
  SayComplete(*newcomer);
  auto opened = newcomer->Open(root, "f");
  ASSERT_EQ(opened.status, NFS4_OK);
  EXPECT_EQ(newcomer->Lock(*opened, "me", WRITE_LT, 0, 10).status, NFS4_OK);
  // It has one now: after the next restart others wait for it.
  world.Restart();
  auto other = Return("other");
  SayComplete(*other);
  auto theirs = other->Open(root, "f");
  ASSERT_EQ(theirs.status, NFS4_OK);
  EXPECT_EQ(other->Lock(*theirs, "they", WRITE_LT, 0, 10).status, NFS4ERR_GRACE);
}

TEST_P(RecoveryTest, AClientThatReclaimedNothingMayReclaimAfterTheNextRestart) {
  ASSERT_EQ(client->Create(root, "f", 0666).status, NFS4_OK);
  world.Restart();
  auto back = Return("client");
  SayComplete(*back);
  world.Advance(World::kLease / 2);
  EXPECT_EQ(back->Renew(), NFS4_OK);
  world.Advance(World::kLease / 2 + seconds(1));
  EXPECT_EQ(back->Renew(), NFS4_OK);
  auto file = back->Open(root, "f");
  ASSERT_EQ(file.status, NFS4_OK);
  world.Restart();
  auto again = Return("client");
  EXPECT_EQ(Reclaim(*again, file->fh).status, NFS4_OK);
}

TEST_P(RecoveryTest, GraceEndsByTime) {
  auto file = client->Create(root, "f", 0666);
  world.Restart();
  auto newcomer = Return("newcomer");
  SayComplete(*newcomer);
  EXPECT_EQ(newcomer->Open(root, "f", exclusive).status, NFS4ERR_GRACE);
  world.Advance(World::kLease / 2);
  EXPECT_EQ(newcomer->Renew(), NFS4_OK);
  world.Advance(World::kLease / 2 + seconds(1));
  EXPECT_EQ(newcomer->Renew(), NFS4_OK);
  EXPECT_EQ(newcomer->Open(root, "f", exclusive).status, NFS4_OK);
  auto late = Return("client");
  EXPECT_EQ(Reclaim(*late, file->fh).status, NFS4ERR_NO_GRACE);
}

TEST_P(RecoveryTest, OnlyWhoHadStateMayReclaim) {
  auto file = client->Create(root, "f", 0666);
  world.Restart();
  auto liar = Return("liar");
  nfsstat4 status = Reclaim(*liar, file->fh).status;
  EXPECT_TRUE(status == NFS4ERR_NO_GRACE || status == NFS4ERR_RECLAIM_BAD);
}

TEST_P(RecoveryTest, WithoutKnownClientsThereIsNoGrace) {
  if (minor() > 0) {
    EXPECT_EQ(client->DestroySession(), NFS4_OK);
    EXPECT_EQ(client->DestroyClientId(), NFS4_OK);
  } else {
    world.Advance(World::kLease * 3);  // it expires, and its record goes
  }
  world.Restart();
  auto newcomer = Return("newcomer");
  SayComplete(*newcomer);
  EXPECT_EQ(newcomer->Create(root, "f").status, NFS4_OK);
}

TEST_P(RecoveryTest, SecondRestartDuringGrace) {
  auto file = client->Create(root, "f", 0666);
  world.Restart();
  auto back = Return("client");
  ASSERT_EQ(Reclaim(*back, file->fh).status, NFS4_OK);
  world.Restart();
  auto again = Return("client");
  EXPECT_EQ(Reclaim(*again, file->fh).status, NFS4_OK);
}

TEST_P(RecoveryTest, UnlinkedOpenFileSurvivesARestart) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(client->Write(file->fh, file->state, 0, AsOpaque("kept")).ok());
  ASSERT_EQ(client->Remove(root, "f"), NFS4_OK);
  world.Restart();
  auto back = Return("client");
  auto reopened = Reclaim(*back, file->fh);
  ASSERT_EQ(reopened.status, NFS4_OK);
  SayComplete(*back);
  world.Advance(seconds(1));
  EXPECT_EQ(AsText(back->Read(reopened->fh, reopened->state, 0, 10)->data), "kept");
  EXPECT_EQ(back->Close(*reopened), NFS4_OK);
}

TEST_P(RecoveryTest, ExpiredLeaseGivesWayToOthers) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 0, 10).ok());
  auto other = Another("other");
  auto theirs = other->Open(root, "f");
  EXPECT_EQ(other->Lock(*theirs, "they", WRITE_LT, 0, 10).status, NFS4ERR_DENIED);
  for (int i = 0; i < 3; ++i) {
    world.Advance(World::kLease / 2);
    EXPECT_EQ(other->Renew(), NFS4_OK) << "who renews keeps its state";
  }
  EXPECT_EQ(other->Lock(*theirs, "they", WRITE_LT, 0, 10).status, NFS4_OK);
  if (minor() > 0) {
    nfsstat4 status = client->Read(file->fh, file->state, 0, 1).status;
    EXPECT_TRUE(status == NFS4ERR_BADSESSION || status == NFS4ERR_EXPIRED ||
                status == NFS4ERR_DEADSESSION);
  } else {
    nfsstat4 status = client->Read(file->fh, file->state, 0, 1).status;
    EXPECT_TRUE(status == NFS4ERR_EXPIRED || status == NFS4ERR_BAD_STATEID ||
                status == NFS4ERR_STALE_STATEID);
    nfsstat4 renewed = client->Renew();
    EXPECT_TRUE(renewed == NFS4ERR_EXPIRED || renewed == NFS4ERR_STALE_CLIENTID);
  }
}

TEST_P(RecoveryTest, RenewKeepsTheState) {
  auto file = client->Create(root, "f", 0666);
  for (int i = 0; i < 5; ++i) {
    world.Advance(World::kLease - seconds(5));
    ASSERT_EQ(client->Renew(), NFS4_OK);
  }
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4_OK);
}

TEST_P(RecoveryTest, UnstableDataIsLostOnlyWithAnotherVerifier) {
  auto file = client->Create(root, "f", 0666);
  auto written = client->Write(file->fh, file->state, 0, AsOpaque("maybe"), UNSTABLE4);
  ASSERT_TRUE(written.ok());
  world.Restart();
  auto back = Return("client");
  SayComplete(*back);
  auto verifier = back->Commit(file->fh);
  ASSERT_EQ(verifier.status, NFS4_OK);
  EXPECT_NE(*verifier, written->verifier);
}

// RFC 8881 section 18.51.3: said to a run that has ended, it says nothing of this one.
TEST_P(Recovery41Test, ReclaimCompleteSentAgainOverASecondRestart) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(client->Lock(*file, "me", WRITE_LT, 0, 10).ok());
  world.Restart();
  ASSERT_TRUE(client->Reconnect());
  EXPECT_EQ(client->Root().status, NFS4_OK);
  ASSERT_EQ(Reclaim(*client, file->fh).status, NFS4_OK);
  Compound complete;
  complete.Add(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{.rca_one_fs = false});
  SEQUENCE4args sequence = client->NextSequence(0);
  EXPECT_EQ(client->RunWith(sequence, complete).status, NFS4_OK);
  world.Restart();
  ASSERT_TRUE(client->Reconnect());
  EXPECT_EQ(client->RunWith(sequence, complete).status, NFS4_OK) << "the answer was lost";
  EXPECT_EQ(client->Root().status, NFS4_OK);
  EXPECT_NE(client->status_flags() & SEQ4_STATUS_RESTART_RECLAIM_NEEDED, 0U) << "it is told";
  auto again = Reclaim(*client, file->fh);
  ASSERT_EQ(again.status, NFS4_OK);
  EXPECT_EQ(client->Lock(*again, "me", WRITE_LT, 0, 10, true).status, NFS4_OK);
  EXPECT_EQ(client->ReclaimComplete(), NFS4_OK);
  EXPECT_EQ(client->Root().status, NFS4_OK);
  EXPECT_EQ(client->status_flags() & SEQ4_STATUS_RESTART_RECLAIM_NEEDED, 0U);
  EXPECT_EQ(client->ReclaimComplete(), NFS4ERR_COMPLETE_ALREADY);
}

NFS_SUITE(RecoveryTest, EverySetting());
NFS_SUITE(Recovery41Test, Settings41());

}  // namespace
}  // namespace tarn::nfs_test
