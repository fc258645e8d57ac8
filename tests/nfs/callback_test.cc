// The way of callbacks: RFC 8881 sections 2.10.3.1, 2.10.6, 18.33, 18.34, 18.46.3 and 20.9; RFC
// 7530 sections 3.3.3 and 16.33. Recalls of delegations are what is sent over it.
#include <thread>

#include "tests/nfs/delegation_world.h"

namespace tarn::nfs_test {
namespace {

class CallbackTest : public NfsTest {
 protected:
  CallbackTest() {
    world.AllowDelegations();
    options = world.Options(minor(), "holder");
    options.callbacks = true;
    holder = std::move(Client::Mount(options).value);
    TakeProbe();
    MakeFile(root, "file");
  }
  // The server has asked whether we are there, and was answered.
  void TakeProbe() {
    size_t before = 0;
    while (holder->callbacks().nulls == before) ASSERT_TRUE(holder->WaitCallback());
    holder->callbacks().nulls = 0;
  }
  open_delegation_type4 Opened() {
    OpenRequest request;
    request.access = OPEN4_SHARE_ACCESS_READ;
    auto opened = holder->Open(root, "file", request);
    EXPECT_EQ(opened.status, NFS4_OK);
    delegation = opened->result.delegation.read.stateid;
    return opened->result.delegation.delegation_type;
  }
  void OpenDelegated() {
    for (int i = 0; i < 1000 && Opened() != OPEN_DELEGATE_READ; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  // What another client wants recalls it.
  void ExpectRecall() {
    holder->callbacks().calls.clear();
    EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
    ASSERT_TRUE(holder->WaitCallback());
    ASSERT_EQ(holder->callbacks().calls.size(), 1U);
    EXPECT_EQ(holder->callbacks().calls[0].op, OP_CB_RECALL);
  }
  bool FlagsBecome(uint32_t flags) { return BackChannelFlagsBecome(world, *holder, flags); }

  ClientOptions options;
  std::unique_ptr<Client> holder;
  stateid4 delegation;
};
class Callback41Test : public CallbackTest {};
class Callback40Test : public CallbackTest {};

TEST_P(Callback41Test, APathThatEndedIsTold) {
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  EXPECT_EQ(holder->status_flags() & kDown, 0U);
  ASSERT_TRUE(holder->Reconnect());
  EXPECT_TRUE(FlagsBecome(kDown));
  EXPECT_EQ(holder->BindConnection(CDFC4_FORE), NFS4_OK);
  EXPECT_TRUE(FlagsBecome(kDown)) << "that was no back channel";
  EXPECT_EQ(holder->BindConnection(CDFC4_BACK_OR_BOTH), NFS4_OK);
  EXPECT_TRUE(FlagsBecome(0));
  OpenDelegated();
  ExpectRecall();
}

TEST_P(Callback41Test, ARecallWaitsForANewPath) {
  OpenDelegated();
  ASSERT_TRUE(holder->Reconnect());
  EXPECT_TRUE(FlagsBecome(kDown));
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  EXPECT_EQ(holder->BindConnection(CDFC4_FORE_OR_BOTH), NFS4_OK);
  if (holder->callbacks().calls.empty()) {
    ASSERT_TRUE(holder->WaitCallback());
  }
  ASSERT_FALSE(holder->callbacks().calls.empty());
  EXPECT_EQ(holder->callbacks().calls[0].op, OP_CB_RECALL);
  EXPECT_EQ(holder->callbacks().calls[0].sequence.csa_sequenceid, 1U);
}

TEST_P(Callback41Test, TheSlotCountsOn) {
  for (uint32_t sequence = 1; sequence <= 3; ++sequence) {
    OpenDelegated();
    ExpectRecall();
    EXPECT_EQ(holder->callbacks().calls[0].sequence.csa_sequenceid, sequence);
    EXPECT_EQ(holder->callbacks().calls[0].sequence.csa_slotid, 0U);
    EXPECT_EQ(holder->ReturnDelegation(client->Lookup(root, "file").value, delegation), NFS4_OK);
    world.Advance(std::chrono::seconds(11));
  }
}

// A client that has another count: it is told that its back channel is of no use.
TEST_P(Callback41Test, ASlotOutOfStep) {
  OpenDelegated();
  holder->callbacks().sequence_answer = NFS4ERR_SEQ_MISORDERED;
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ASSERT_TRUE(holder->WaitCallback());
  for (int i = 0; i < 1000 && !(holder->status_flags() & SEQ4_STATUS_BACKCHANNEL_FAULT); ++i) {
    EXPECT_EQ(holder->Renew(), NFS4_OK);
  }
  EXPECT_TRUE(holder->status_flags() & SEQ4_STATUS_BACKCHANNEL_FAULT);
}

TEST_P(Callback41Test, BackchannelCtl) {
  auto ctl = [&](const std::vector<callback_sec_parms4>& security) {
    Compound compound;
    compound.Add(OP_BACKCHANNEL_CTL,
                 BACKCHANNEL_CTL4args{.bca_cb_program = 0x40000123, .bca_sec_parms = security});
    return holder->Run(compound).status;
  };
  callback_sec_parms4 none;
  none.cb_secflavor = 0;
  callback_sec_parms4 gss;
  gss.cb_secflavor = 6;
  EXPECT_EQ(ctl({gss}), NFS4ERR_NOENT);
  EXPECT_EQ(ctl({gss, none}), NFS4_OK);
  OpenDelegated();
  ExpectRecall();
}

TEST_P(Callback41Test, TheRestoredSessionWantsAPath) {
  EXPECT_EQ(holder->Renew(), NFS4_OK);
  world.Restart();
  ASSERT_TRUE(holder->Reconnect());
  EXPECT_TRUE(FlagsBecome(kDown));
  EXPECT_EQ(holder->BindConnection(CDFC4_BACK_OR_BOTH), NFS4_OK);
  EXPECT_TRUE(FlagsBecome(0));
}

TEST_P(Callback41Test, BindsOnlyWhatThereIs) {
  EXPECT_EQ(holder->BindConnection(static_cast<channel_dir_from_client4>(9)), NFS4ERR_INVAL);
  EXPECT_EQ(holder->DestroySession(), NFS4_OK);
  EXPECT_EQ(holder->BindConnection(CDFC4_BACK), NFS4ERR_BADSESSION);
}

TEST_P(Callback40Test, ANewAddressIsUsed) {
  OpenDelegated();
  holder->listener().Close();
  ClientOptions again = options;
  again.owner = "holder";
  auto moved = std::move(Client::Connect(again).value);
  ASSERT_EQ(moved->SetClientId(), NFS4_OK);
  while (moved->callbacks().nulls == 0) ASSERT_TRUE(moved->WaitCallback());
  EXPECT_EQ(moved->client_id(), holder->client_id()) << "the same client, called elsewhere";
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  ASSERT_TRUE(moved->WaitCallback());
  EXPECT_EQ(moved->callbacks().calls.at(0).op, OP_CB_RECALL);
}

TEST_P(Callback40Test, NobodyListens) {
  OpenDelegated();
  holder->listener().Close();
  EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client->Open(root, "file").status, NFS4ERR_DELAY);
    world.Advance(World::kLease / 2 - std::chrono::seconds(1));
    EXPECT_EQ(holder->Renew(), NFS4_OK);
    EXPECT_EQ(client->Renew(), NFS4_OK);
  }
  EXPECT_EQ(client->Open(root, "file").status, NFS4_OK) << "revoked after a lease";
}

NFS_SUITE(Callback41Test, Settings41());
NFS_SUITE(Callback40Test, Settings40());

}  // namespace
}  // namespace tarn::nfs_test
