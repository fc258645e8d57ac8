// Attributes of a file under somebody else's write delegation: CB_GETATTR (RFC 8881 sections 10.4.3
// and 20.1), and what else reads such a file (RFC 8276 section 8.4, RFC 8881 section 18.7).
#include "tests/nfs/delegation_world.h"

namespace tarn::nfs_test {
namespace {

class CbGetattrTest : public DelegationTest {
 protected:
  // The holder takes one call while `client` asks.
  Answer<Attributes> AskWhileHolderAnswers(const Fh& fh) {
    holder->callbacks().calls.clear();
    std::thread answers([&] { EXPECT_TRUE(holder->WaitCallback()); });
    auto told = client->GetAttributes(fh);
    answers.join();
    return told;
  }
  OpenFile opened;
};
// In 4.0 the server takes a call from the holder's address for the holder's.
class CbGetattr41Test : public CbGetattrTest {
 protected:
  CbGetattr41Test() {
    opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH);
    auto own = holder->GetAttributes(file);
    EXPECT_EQ(own.status, NFS4_OK);
    before = *own;
    holder->callbacks().change = before.change;
    holder->callbacks().size = before.size;
  }
  Attributes before;
};
class CbGetattr42Test : public CbGetattr41Test {};

TEST_P(CbGetattr41Test, TheHolderChangedNothing) {
  auto told = AskWhileHolderAnswers(file);
  ASSERT_EQ(told.status, NFS4_OK);
  ASSERT_EQ(holder->callbacks().calls.size(), 1U);
  EXPECT_EQ(holder->callbacks().calls[0].op, OP_CB_GETATTR);
  EXPECT_EQ(holder->callbacks().calls[0].fh, file);
  EXPECT_EQ(told->change, before.change);
  EXPECT_EQ(told->size, before.size);
  EXPECT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("x")).status, NFS4_OK)
      << "it was not recalled";
}

TEST_P(CbGetattr41Test, WhatTheHolderHasNotWrittenYetCountsAsChanged) {
  holder->callbacks().change = before.change + 1;
  holder->callbacks().size = 5000;
  auto told = AskWhileHolderAnswers(file);
  ASSERT_EQ(told.status, NFS4_OK);
  EXPECT_EQ(told->size, 5000U);
  EXPECT_GT(told->change, before.change);
  auto again = AskWhileHolderAnswers(file);
  ASSERT_EQ(again.status, NFS4_OK);
  EXPECT_GT(again->change, told->change) << "it may have written more meanwhile";
  EXPECT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("x")).status, NFS4_OK);
  EXPECT_EQ(holder->ReturnDelegation(file, DelegationOf(opened)), NFS4_OK);
  auto after = client->GetAttributes(file);
  EXPECT_GT(after->change, again->change);
  EXPECT_EQ(after->size, before.size) << "it wrote no more than that";
}

// What it wrote through is no news: its count of changes is still that of the grant.
TEST_P(CbGetattr41Test, WhatTheHolderWroteIsToldAsItIs) {
  ASSERT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("a longer text")).status,
            NFS4_OK);
  Attributes own = *holder->GetAttributes(file);
  holder->callbacks().size = own.size;
  auto told = AskWhileHolderAnswers(file);
  ASSERT_EQ(told.status, NFS4_OK);
  EXPECT_EQ(told->size, 13U);
  EXPECT_EQ(told->change, own.change);
}

// RFC 8881 sections 18.15 and 18.31: they compare what GETATTR would show.
TEST_P(CbGetattr41Test, VerifyComparesWithWhatTheHolderSees) {
  holder->callbacks().change = before.change + 1;
  holder->callbacks().size = 5000;
  auto compare = [&](nfs_opnum4 op, uint64_t size) {
    SetAttributes expected;
    expected.size = size;
    nfs_client::EncodedAttributes attributes(expected);
    Compound compound;
    compound.Put(file).Add(op, VERIFY4args{.obj_attributes = attributes.view()});
    std::thread answers([&] { EXPECT_TRUE(holder->WaitCallback()); });
    nfsstat4 status = client->Run(compound).status;
    answers.join();
    return status;
  };
  EXPECT_EQ(compare(OP_VERIFY, 5000), NFS4_OK);
  EXPECT_EQ(compare(OP_VERIFY, before.size), NFS4ERR_NOT_SAME);
  EXPECT_EQ(compare(OP_NVERIFY, 5000), NFS4ERR_SAME);
  EXPECT_EQ(holder->callbacks().calls.size(), 3U);
  EXPECT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("x")).status, NFS4_OK)
      << "it was not recalled";
}

// READDIR does not ask, but a listing is not older than what was shown before.
TEST_P(CbGetattr41Test, AListingShowsWhatTheHolderSaidLast) {
  auto listed = [&] {
    auto all = client->ReadAllOf(root, 32768, {FATTR4_CHANGE, FATTR4_SIZE});
    EXPECT_EQ(all.status, NFS4_OK);
    EXPECT_EQ(all->size(), 1U);
    return all->front().attributes;
  };
  holder->callbacks().change = before.change + 1;
  holder->callbacks().size = 5000;
  EXPECT_EQ(listed().size, before.size) << "nobody was asked";
  auto told = AskWhileHolderAnswers(file);
  EXPECT_EQ(listed().size, 5000U);
  EXPECT_EQ(listed().change, told->change);
  ASSERT_EQ(holder->Write(file, DelegationOf(opened), 0, AsOpaque("now written")).status, NFS4_OK);
  EXPECT_EQ(listed().size, 11U);
  EXPECT_GT(listed().change, told->change);
  EXPECT_EQ(holder->callbacks().calls.size(), 1U);
}

TEST_P(CbGetattr41Test, AHolderThatRefusesIsRecalled) {
  holder->callbacks().answer = NFS4ERR_BADHANDLE;
  EXPECT_EQ(AskWhileHolderAnswers(file).status, NFS4ERR_DELAY);
  holder->callbacks().answer = NFS4_OK;
  ExpectRecall(*holder, opened);
  EXPECT_EQ(client->GetAttributes(file).status, NFS4_OK);
}

TEST_P(CbGetattr41Test, AHolderThatIsSilentIsRecalled) {
  EXPECT_EQ(client->GetAttributes(file).status, NFS4ERR_DELAY);
  auto& calls = holder->callbacks().calls;
  while (calls.empty() || calls.back().op != OP_CB_RECALL) ASSERT_TRUE(holder->WaitCallback());
  EXPECT_EQ(client->GetAttributes(file).status, NFS4ERR_DELAY) << "and is not asked any more";
  EXPECT_EQ(holder->ReturnDelegation(file, DelegationOf(opened)), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file).status, NFS4_OK);
}

TEST_P(CbGetattr41Test, OnlyForWhatTheHolderMayHaveChanged) {
  auto told = client->GetAttributes(file, {FATTR4_TYPE, FATTR4_MODE, FATTR4_OWNER});
  EXPECT_EQ(told.status, NFS4_OK);
  EXPECT_EQ(holder->GetAttributes(file).status, NFS4_OK);
  EXPECT_TRUE(holder->callbacks().calls.empty());
}

// RFC 9754: wishes that the server does not offer are none that it refuses.
TEST_P(CbGetattr42Test, WishesThatAreNotOffered) {
  ASSERT_EQ(holder->ReturnDelegation(file, DelegationOf(opened)), NFS4_OK);
  opened = OpenDelegated(*holder, OPEN4_SHARE_ACCESS_BOTH | OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG |
                                      OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS |
                                      OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION);
  EXPECT_EQ(opened.result.delegation.delegation_type, OPEN_DELEGATE_WRITE);
  holder->callbacks().deleg_times = true;
  holder->callbacks().change = holder->GetAttributes(file)->change;
  EXPECT_EQ(AskWhileHolderAnswers(file).status, NFS4_OK) << "times that nobody asked for";
}

TEST_P(CbGetattr42Test, ExtendedAttributesWaitForTheDelegation) {
  ASSERT_EQ(holder->SetXattr(file, "colour", "red").status, NFS4_OK);
  EXPECT_EQ(holder->ListXattrs(file).status, NFS4_OK) << "its own";
  EXPECT_EQ(client->GetXattr(file, "colour").status, NFS4ERR_DELAY);
  EXPECT_EQ(client->ListXattrs(file).status, NFS4ERR_DELAY);
  ExpectRecall(*holder, opened);
  EXPECT_EQ(*client->GetXattr(file, "colour"), "red");
  EXPECT_EQ(client->ListXattrs(file).status, NFS4_OK);
}

NFS_SUITE(CbGetattr41Test, Settings41());
NFS_SUITE(CbGetattr42Test, Settings42());

}  // namespace
}  // namespace tarn::nfs_test
