// Delegations: RFC 7530 sections 10.4, 16.7 and 16.8; RFC 8881 sections 10.4, 18.6, 18.16, 18.38,
// 18.48 and 20.2.
#include <thread>

#include "tests/nfs/delegation_world.h"

namespace tarn::nfs_test {
namespace {

class Delegation41Test : public DelegationTest {};

TEST_P(DelegationTest, ReadDelegationIsRecalledForAWriter) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(opened.result.delegation.delegation_type, OPEN_DELEGATE_READ);
  auto reader = client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ));
  EXPECT_EQ(reader.status, NFS4_OK) << "readers do not mind";
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY) << "and is not recalled again";
  ExpectRecall(*holder, opened);
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK);
  EXPECT_EQ(holder->callbacks().calls.size(), 1U);
}

TEST_P(DelegationTest, ReadersShare) {
  auto second = MountCallable("second");
  OpenFile one = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  OpenFile two = OpenDelegated(*second, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(two.result.delegation.delegation_type, OPEN_DELEGATE_READ);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ExpectRecall(*holder, one);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ExpectRecall(*second, two);
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK);
}

TEST_P(DelegationTest, WriteDelegationIsRecalledForAReader) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  EXPECT_EQ(opened.result.delegation.delegation_type, OPEN_DELEGATE_WRITE);
  EXPECT_EQ(client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ)).status, NFS4ERR_DELAY);
  ExpectRecall(*holder, opened);
  EXPECT_EQ(client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ)).status, NFS4_OK);
}

TEST_P(DelegationTest, OthersOpensKeepAWriteDelegationAway) {
  auto reader = client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ));
  ASSERT_EQ(reader.status, NFS4_OK);
  OpenFile read = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(holder->ReturnDelegation(file, DelegationOf(read)), NFS4_OK);
  auto opened = holder->Open(root, "file");
  ASSERT_EQ(opened.status, NFS4_OK);
  EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_NONE);
  EXPECT_EQ(client->Close(*reader), NFS4_OK);
  opened = holder->Open(root, "file");
  ASSERT_EQ(opened.status, NFS4_OK);
  EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_WRITE);
}

TEST_P(DelegationTest, ChangesByOthersRecall) {
  const std::vector<std::pair<const char*, std::function<nfsstat4()>>> changes = {
      {"SETATTR", [&] { return client->SetAttributesOf(file, Mode0600()); }},
      {"WRITE", [&] { return client->Write(file, {}, 0, AsOpaque("x")).status; }},
      {"LINK", [&] { return client->Link(file, root, "link"); }},
      {"RENAME from", [&] { return client->Rename(root, "file", root, "renamed"); }},
      {"RENAME over",
       [&] {
         MakeFile(root, "other");
         return client->Rename(root, "other", root, "file");
       }},
      {"REMOVE", [&] { return client->Remove(root, "file"); }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
    EXPECT_EQ(change(), NFS4ERR_DELAY);
    ExpectRecall(*holder, opened);
    EXPECT_EQ(change(), NFS4_OK);
    EXPECT_EQ(holder->Close(opened), NFS4_OK);
    if (client->Lookup(root, "file").status != NFS4_OK) MakeFile(root, "file");
    file = client->Lookup(root, "file").value;
    world.Advance(std::chrono::seconds(11));  // or the file counts as contended
    EXPECT_EQ(holder->Renew(), NFS4_OK);
    EXPECT_EQ(client->Renew(), NFS4_OK);
  }
}

TEST_P(DelegationTest, NotReturnedInALeaseIsRevoked) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  stateid4 delegation = DelegationOf(opened);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ASSERT_TRUE(holder->WaitCallback());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
    world.Advance(World::kLease / 2 + std::chrono::seconds(1));
    EXPECT_EQ(holder->Renew(), NFS4_OK);
    EXPECT_EQ(client->Renew(), NFS4_OK);
  }
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK);
  nfsstat4 gone = minor() == 0 ? NFS4ERR_BAD_STATEID : NFS4ERR_DELEG_REVOKED;
  EXPECT_EQ(holder->Read(file, delegation, 0, 10).status, gone);
  EXPECT_EQ(holder->ReturnDelegation(file, delegation), gone);
  EXPECT_EQ(holder->Read(file, opened.state, 0, 10).status, NFS4_OK) << "its open stays";
  if (minor() == 0) return;
  EXPECT_TRUE(holder->status_flags() & SEQ4_STATUS_RECALLABLE_STATE_REVOKED);
  EXPECT_EQ(holder->TestState(delegation), NFS4ERR_DELEG_REVOKED);
  EXPECT_EQ(holder->FreeState(delegation), NFS4_OK);
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_FALSE(holder->status_flags() & SEQ4_STATUS_RECALLABLE_STATE_REVOKED);
  EXPECT_EQ(holder->TestState(delegation), NFS4ERR_BAD_STATEID);
}

// The recall reaches a client that says nothing, not even that it got it.
TEST_P(Delegation41Test, RevokedFromOneThatDoesNotAnswer) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  stateid4 delegation = DelegationOf(opened);
  auto unread = holder->AddConnection();
  ASSERT_TRUE(unread);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
    world.Advance(World::kLease / 2 - std::chrono::seconds(1));
    EXPECT_EQ(holder->Renew(), NFS4_OK);
    EXPECT_EQ(client->Renew(), NFS4_OK);
  }
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK);
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_TRUE(holder->status_flags() & SEQ4_STATUS_RECALLABLE_STATE_REVOKED);
  EXPECT_EQ(holder->TestState(delegation), NFS4ERR_DELEG_REVOKED);
  EXPECT_EQ(holder->TestState(opened.state), NFS4_OK) << "its open stays";
  EXPECT_EQ(holder->FreeState(delegation), NFS4_OK);
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_FALSE(holder->status_flags() & SEQ4_STATUS_RECALLABLE_STATE_REVOKED);
  EXPECT_EQ(holder->FreeState(delegation), NFS4ERR_BAD_STATEID);
}

TEST_P(DelegationTest, AnExpiredHolderLosesItAtOnce) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  for (int i = 0; i < 3; ++i) {
    world.Advance(World::kLease / 2);
    EXPECT_EQ(client->Renew(), NFS4_OK);
  }
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK);
}

TEST_P(DelegationTest, AnExpiredHolderKeepsItWhileNobodyMinds) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  world.Advance(10 * World::kLease);
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("new")).status, NFS4_OK);
  EXPECT_EQ(holder->ReturnDelegation(file, DelegationOf(opened)), NFS4_OK);
}

TEST_P(DelegationTest, ReadsAndWritesByIt) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  stateid4 delegation = DelegationOf(opened);
  EXPECT_EQ(holder->Close(opened), NFS4_OK) << "it outlives its open";
  EXPECT_EQ(holder->Write(file, delegation, 0, AsOpaque("C")).status, NFS4_OK);
  EXPECT_EQ(AsText(holder->Read(file, delegation, 0, 10)->data), "Content");
  EXPECT_EQ(holder->ReturnDelegation(root, delegation), NFS4ERR_BAD_STATEID) << "of another file";
  EXPECT_EQ(holder->ReturnDelegation(file, delegation), NFS4_OK);
  EXPECT_EQ(holder->ReturnDelegation(file, delegation), NFS4ERR_BAD_STATEID);
  OpenFile reading = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(holder->Write(file, DelegationOf(reading), 0, AsOpaque("C")).status, NFS4ERR_OPENMODE);
}

TEST_P(DelegationTest, OpensUnderIt) {
  MakeFile(root, "another");
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  open_claim4 claim;
  claim.claim = CLAIM_DELEGATE_CUR;
  claim.delegate_cur_info = {.delegate_stateid = DelegationOf(opened), .file = "file"};
  OpenRequest request = For(OPEN4_SHARE_ACCESS_READ);
  request.owner = "second opener";
  auto local = holder->OpenClaim(root, claim, request);
  ASSERT_EQ(local.status, NFS4_OK);
  EXPECT_EQ(local->fh, file);
  EXPECT_EQ(local->result.delegation.delegation_type, OPEN_DELEGATE_NONE);
  claim.delegate_cur_info.file = "another";
  EXPECT_EQ(holder->OpenClaim(root, claim, request).status, NFS4ERR_BAD_STATEID);
  claim.delegate_cur_info.file = "file";
  request.access = OPEN4_SHARE_ACCESS_BOTH;
  EXPECT_EQ(holder->OpenClaim(root, claim, request).status, NFS4ERR_OPENMODE);
  claim.delegate_cur_info.delegate_stateid = opened.state;
  EXPECT_EQ(holder->OpenClaim(root, claim, request).status, NFS4ERR_BAD_STATEID);
  claim.claim = CLAIM_DELEGATE_PREV;
  claim.file_delegate_prev = "file";
  EXPECT_EQ(holder->OpenClaim(root, claim, request).status, NFS4ERR_NOTSUPP);
  if (minor() == 0) return;
  claim.claim = CLAIM_DELEG_CUR_FH;
  claim.oc_delegate_stateid = DelegationOf(opened);
  request.access = OPEN4_SHARE_ACCESS_READ;
  EXPECT_EQ(holder->OpenClaim(file, claim, request).status, NFS4_OK);
}

// Even while it is being recalled (RFC 8881 section 10.4.4).
TEST_P(DelegationTest, OpensUnderItDuringRecall) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  open_claim4 claim;
  claim.claim = CLAIM_DELEGATE_CUR;
  claim.delegate_cur_info = {.delegate_stateid = DelegationOf(opened), .file = "file"};
  OpenRequest request = For(OPEN4_SHARE_ACCESS_BOTH);
  request.owner = "second opener";
  EXPECT_EQ(holder->OpenClaim(root, claim, request).status, NFS4_OK);
  EXPECT_EQ(holder->ReturnDelegation(file, DelegationOf(opened)), NFS4_OK);
}

TEST_P(DelegationTest, ARecallThatIsNotTakenIsSentAgain) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  holder->callbacks().answer = NFS4ERR_BAD_STATEID;
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ASSERT_TRUE(holder->WaitCallback());
  holder->callbacks().answer = NFS4_OK;
  std::atomic<bool> stop{false};
  std::thread time([&] {
    while (!stop) {
      world.Advance(std::chrono::seconds(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  bool called = holder->WaitCallback();
  stop = true;
  time.join();
  ASSERT_TRUE(called);
  EXPECT_EQ(holder->callbacks().calls.back().op, OP_CB_RECALL);
  EXPECT_EQ(holder->callbacks().calls.back().sequence.csa_sequenceid, minor() == 0 ? 0U : 2U);
}

TEST_P(DelegationTest, NoneAfterARecallForAWhile) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(client->SetAttributesOf(file, Mode0600()), NFS4ERR_DELAY);
  ExpectRecall(*holder, opened);
  auto again = holder->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ));
  EXPECT_EQ(again->result.delegation.delegation_type, OPEN_DELEGATE_NONE);
  world.Advance(std::chrono::seconds(11));
  again = holder->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ));
  EXPECT_EQ(again->result.delegation.delegation_type, OPEN_DELEGATE_READ);
}

TEST_P(DelegationTest, IsReclaimedAfterARestart) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  world.Restart();
  ClientOptions options = world.Options(minor(), "holder");
  options.callbacks = true;
  holder = std::move(Client::Mount(options, false).value);
  open_claim4 claim;
  claim.claim = CLAIM_PREVIOUS;
  claim.delegate_type = OPEN_DELEGATE_READ;
  auto again = holder->OpenClaim(file, claim, For(OPEN4_SHARE_ACCESS_READ));
  ASSERT_EQ(again.status, NFS4_OK);
  EXPECT_EQ(again->result.delegation.delegation_type, OPEN_DELEGATE_READ);
  EXPECT_EQ(holder->Read(file, DelegationOf(*again), 0, 10).status, NFS4_OK);
}

// The holder may have changed the file: nobody opens it before it had its chance to reclaim.
TEST_P(DelegationTest, OpensWaitInGraceForDelegations) {
  OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  world.Restart();
  auto newcomer = std::move(Client::Mount(world.Options(minor(), "newcomer")).value);
  EXPECT_EQ(newcomer->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ)).status, NFS4ERR_GRACE);
}

TEST_P(DelegationTest, NoneWithoutACallbackPath) {
  auto opened = client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ));
  EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_NONE);
  if (minor() == 0) return;
  opened =
      client->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ | OPEN4_SHARE_ACCESS_WANT_READ_DELEG));
  EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_NONE_EXT);
  EXPECT_EQ(opened->result.delegation.od_whynone.ond_why, WND4_RESOURCE);
}

TEST_P(Delegation41Test, WhatTheClientWants) {
  auto why = [&](uint32_t want) {
    auto opened = holder->Open(root, "file", For(OPEN4_SHARE_ACCESS_READ | want));
    EXPECT_EQ(opened.status, NFS4_OK);
    EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_NONE_EXT) << want;
    return opened->result.delegation.od_whynone.ond_why;
  };
  EXPECT_EQ(why(OPEN4_SHARE_ACCESS_WANT_NO_DELEG), WND4_NOT_WANTED);
  EXPECT_EQ(why(OPEN4_SHARE_ACCESS_WANT_CANCEL), WND4_CANCELLED);
  auto writer = client->Open(root, "file");
  EXPECT_EQ(why(OPEN4_SHARE_ACCESS_WANT_ANY_DELEG), WND4_CONTENTION);
  EXPECT_EQ(client->Close(*writer), NFS4_OK);
  OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ | OPEN4_SHARE_ACCESS_WANT_READ_DELEG);
  EXPECT_EQ(why(OPEN4_SHARE_ACCESS_WANT_ANY_DELEG), WND4_NOT_SUPP_DOWNGRADE);
}

TEST_P(Delegation41Test, OwnChangesRecallNothing) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
  EXPECT_EQ(holder->SetAttributesOf(file, Mode0600()), NFS4_OK);
  EXPECT_EQ(holder->GetAttributes(file).status, NFS4_OK);
  EXPECT_EQ(holder->Rename(root, "file", root, "renamed"), NFS4_OK);
  EXPECT_EQ(holder->Remove(root, "renamed"), NFS4_OK);
  EXPECT_TRUE(holder->callbacks().calls.empty());
}

TEST_P(Delegation41Test, AHeldOneIsNotFreed) {
  OpenFile opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_READ);
  EXPECT_EQ(holder->TestState(DelegationOf(opened)), NFS4_OK);
  EXPECT_EQ(holder->FreeState(DelegationOf(opened)), NFS4ERR_LOCKS_HELD);
}

class NoDelegationTest : public NfsTest {};

TEST_P(NoDelegationTest, AsEfs) {
  ClientOptions options = world.Options(minor(), "callable");
  options.callbacks = true;
  auto callable = Client::Mount(options);
  ASSERT_EQ(callable.status, NFS4_OK);
  MakeFile(root, "file");
  for (int i = 0; i < 3; ++i) {
    auto opened = callable.value->Open(root, "file");
    EXPECT_EQ(opened->result.delegation.delegation_type, OPEN_DELEGATE_NONE);
  }
  EXPECT_EQ(callable.value->callbacks().nulls, 0U) << "nobody is asked for nothing";
}

NFS_SUITE(DelegationTest, EverySetting());
NFS_SUITE(Delegation41Test, Settings41());
NFS_SUITE(NoDelegationTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
