// What clients hold is bounded, for all together and for each tenant, and is given back.
#include "server/nfs4/state/tenants.h"

#include <gtest/gtest.h>

#include <deque>

#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4::testing {
namespace {

constexpr const char* kGreedy = "192.0.2.2";
constexpr const char* kModest = "192.0.2.3";

struct TenantsTest : ::testing::Test {
  void Bound(const StateLimits& limits) {
    h.options.limits = limits;
    h.Restart();
  }
  nfsstat4 Introduce(const std::string& owner) {
    EXCHANGE_ID4args exchange;
    exchange.eia_clientowner.co_ownerid = Keep(owner);
    return h.Run(1, {Op(OP_EXCHANGE_ID, exchange)}).status();
  }
  // Introduces clients until there may be no more.
  size_t IntroduceAll(const std::string& prefix) {
    for (size_t made = 0; made < 1000; ++made) {
      nfsstat4 status = Introduce(prefix + std::to_string(made));
      if (status == NFS4_OK) continue;
      EXPECT_EQ(status, NFS4ERR_DELAY);
      return made;
    }
    return 1000;
  }
  struct File {
    std::string handle;
    stateid4 open;
  };
  static nfsstat4 TryOpen(Client41& client, const std::string& name, File* file = nullptr) {
    File unused;
    if (file == nullptr) file = &unused;
    return client.TryOpenFile(name, file->handle, file->open);
  }
  // Opens files until it may no more.
  std::deque<File> OpenAll(Client41& client) {
    std::deque<File> files;
    File file;
    nfsstat4 status = NFS4_OK;
    while (files.size() < 1000) {
      status = TryOpen(client, client.owner + std::to_string(files.size()), &file);
      if (status != NFS4_OK) break;
      files.push_back(file);
    }
    EXPECT_EQ(status, NFS4ERR_DQUOT);
    return files;
  }
  nfsstat4 Close(Client41& client, const File& file) {
    CLOSE4args close{.seqid = 0, .open_stateid = file.open};
    return client.Run({PutFh(Bytes(file.handle)), Op(OP_CLOSE, close)}).status();
  }
  nfsstat4 Lock(Client41& client, const File& file, uint64_t offset) {
    Reply reply = client.Run(
        {PutFh(Bytes(file.handle)), Op(OP_LOCK, LockNew(file.open, WRITE_LT, offset, 1))});
    if (reply.status() == NFS4_OK) locked_ = reply.at<LOCK4res>(2).resok4.lock_stateid;
    return reply.status();
  }
  Harness h;
  stateid4 locked_;
};

TEST_F(TenantsTest, WhoIntroducesAllClientsThatItMayLeavesOthersRoom) {
  Bound({.clients = 100});
  EXPECT_EQ(IntroduceAll("a"), 75u);
  h.peer.address = kModest;
  EXPECT_EQ(IntroduceAll("b"), 19u);
  h.peer.address = "192.0.2.4";
  EXPECT_EQ(Introduce("c"), NFS4_OK);
  // Those that never came into use go after a lease.
  h.clock.Advance(std::chrono::seconds(31));
  h.server->Tick();
  EXPECT_EQ(h.server->clients(), 0u);
  EXPECT_EQ(IntroduceAll("d"), 75u);
}

TEST_F(TenantsTest, WhoOpensAllThatItMayLeavesOthersRoom) {
  Bound({.bytes = 200'000});
  Client41 greedy(h, "greedy");
  greedy.Start();
  Client41 again(h, "again");
  again.Start();
  std::deque<File> files = OpenAll(greedy);
  EXPECT_GT(files.size(), 100u);
  EXPECT_EQ(TryOpen(again, "f"), NFS4ERR_DQUOT) << "of the same tenant";
  h.peer.address = kModest;
  Client41 modest(h, "modest");
  modest.Start();
  EXPECT_GT(OpenAll(modest).size(), 10u);
  // What is closed can be opened again, to the last one.
  h.peer.address = kGreedy;
  const size_t had = files.size();
  for (int round = 0; round < 3; ++round) {
    for (const File& file : files) ASSERT_EQ(Close(greedy, file), NFS4_OK);
    files = OpenAll(greedy);
    EXPECT_LE(files.size(), had);
    EXPECT_GT(files.size(), had / 2);
  }
}

TEST_F(TenantsTest, LocksCountAndUnlocksGiveBack) {
  Bound({.bytes = 20'000});
  Client41 client(h, "client");
  client.Start();
  File file;
  ASSERT_EQ(TryOpen(client, "f", &file), NFS4_OK);
  uint64_t made = 0;
  while (made < 512 && Lock(client, file, 2 * made) == NFS4_OK) ++made;
  EXPECT_GT(made, 50u);
  EXPECT_LT(made, 512u) << "which is the bound of one file";
  EXPECT_EQ(Lock(client, file, 2 * made), NFS4ERR_DQUOT);
  EXPECT_EQ(TryOpen(client, "g"), NFS4ERR_DQUOT);
  // Who has too much may still unlock.
  LOCKU4args unlock{
      .locktype = WRITE_LT, .seqid = 0, .lock_stateid = locked_, .offset = 0, .length = 1};
  EXPECT_EQ(client.Run({PutFh(Bytes(file.handle)), Op(OP_LOCKU, unlock)}).status(), NFS4_OK);
  ASSERT_EQ(Close(client, file), NFS4_OK);
  ASSERT_EQ(TryOpen(client, "g"), NFS4_OK);
}

TEST_F(TenantsTest, ATooLongListOfOwnersEnds) {
  Bound({.bytes = 100'000});
  Client41 client(h, "client");
  client.Start();
  nfsstat4 status = NFS4_OK;
  int made = 0;
  for (; made < 1000 && status == NFS4_OK; ++made) {
    OPEN4args open =
        client.OpenArgs("none", 1, 0, false, std::to_string(made) + std::string(900, 'o'));
    status = client.Run({Op(OP_PUTROOTFH), Op(OP_OPEN, open)}).status();
    if (status == NFS4ERR_NOENT) status = NFS4_OK;
  }
  EXPECT_EQ(status, NFS4ERR_DQUOT);
  EXPECT_LT(made, 60);
  // Those that have opened nothing go.
  h.clock.Advance(std::chrono::seconds(1));
  h.server->Tick();
  EXPECT_EQ(TryOpen(client, "f"), NFS4_OK);
}

TEST_F(TenantsTest, ClientsThatWentGiveEverythingBack) {
  Bound({});
  const size_t before = h.server->state_bytes();
  Client41 client(h, "client");
  client.Start();
  File file;
  ASSERT_EQ(TryOpen(client, "f", &file), NFS4_OK);
  ASSERT_EQ(Lock(client, file, 0), NFS4_OK);
  EXPECT_GT(h.server->state_bytes(), before + 2 * kStateBytes);
  // It starts anew; then it is silent for long.
  Client41 anew(h, "client", 2);
  anew.Start();
  EXPECT_LT(h.server->state_bytes(), before + 2 * kStateBytes + kSessionBytes);
  h.clock.Advance(std::chrono::seconds(61));
  h.server->Tick();
  EXPECT_EQ(h.server->clients(), 0u);
  EXPECT_EQ(h.server->state_bytes(), before);
}

// It takes the place of its older self.
TEST_F(TenantsTest, AClientThatRebootedComesInWhereNobodyElseMay) {
  Bound({.clients = 4, .bytes = 10'000});
  for (int i = 0; i < 3; ++i) Client41(h, std::to_string(i)).Start();
  EXPECT_EQ(Introduce("more"), NFS4ERR_DELAY);
  Client41(h, "1", 2).Start();
  EXPECT_EQ(h.server->clients(), 3u);
  EXPECT_EQ(h.server->state_bytes(), 3 * kSessionBytes);
}

// Whatever the order in which they come back.
TEST_F(TenantsTest, ARestartTakesNothingFromAnybody) {
  Bound({.bytes = 100'000});
  Client41 greedy(h, "greedy");
  greedy.Start();
  std::deque<File> its = OpenAll(greedy);
  h.peer.address = kModest;
  Client41 modest(h, "modest");
  modest.Start();
  std::deque<File> theirs = OpenAll(modest);
  ASSERT_GT(theirs.size(), 5u);
  const size_t held = h.server->state_bytes();
  h.Restart();
  auto reclaim = [&](Client41& client, const std::deque<File>& files) {
    OPEN4args open = client.OpenArgs("", 3, 0, false);
    open.claim.claim = CLAIM_PREVIOUS;
    for (const File& file : files) {
      ASSERT_EQ(client.Run({PutFh(Bytes(file.handle)), Op(OP_OPEN, open)}).status(), NFS4_OK);
    }
    ASSERT_EQ(client.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(), NFS4_OK);
  };
  reclaim(modest, theirs);
  h.peer.address = kGreedy;
  reclaim(greedy, its);
  EXPECT_EQ(h.server->state_bytes(), held);
  h.server->Tick();
  ASSERT_FALSE(h.server->InGrace());
  // And each has its own part as before.
  EXPECT_EQ(TryOpen(greedy, "more"), NFS4ERR_DQUOT);
  h.peer.address = "192.0.2.4";
  Client41 late(h, "late");
  late.Start();
  EXPECT_EQ(TryOpen(late, "late"), NFS4_OK);
}

// Nor do strangers who come before.
TEST_F(TenantsTest, AFloodInTheGracePeriodTakesNothingFromWhoReturns) {
  Bound({.bytes = 200'000});
  Client41 client(h, "client");
  client.Start();
  std::deque<File> files = OpenAll(client);
  while (files.size() > 80) {
    ASSERT_EQ(Close(client, files.back()), NFS4_OK);
    files.pop_back();
  }
  h.Restart();
  h.peer.address = kModest;
  nfsstat4 status = NFS4_OK;
  for (int i = 0; i < 100 && status == NFS4_OK; ++i) {
    status = Client41(h, "stranger" + std::to_string(i)).TryStart();
  }
  EXPECT_EQ(status, NFS4ERR_DELAY);
  h.peer.address = kGreedy;
  OPEN4args open = client.OpenArgs("", 3, 0, false);
  open.claim.claim = CLAIM_PREVIOUS;
  for (const File& file : files) {
    ASSERT_EQ(client.Run({PutFh(Bytes(file.handle)), Op(OP_OPEN, open)}).status(), NFS4_OK);
  }
}

// A client that was cut off keeps its state only while its tenant leaves others plenty.
TEST_F(TenantsTest, StateOfLateClientsGoesWhenItIsMuch) {
  Bound({.bytes = 100'000});
  Client41 client(h, "client");
  client.Start();
  OpenAll(client);
  h.peer.address = kModest;
  Client41 modest(h, "modest");
  modest.Start();
  ASSERT_EQ(TryOpen(modest, "f"), NFS4_OK);
  h.clock.Advance(std::chrono::seconds(61));
  h.server->Tick();
  EXPECT_EQ(h.server->clients(), 1u);
  EXPECT_EQ(modest.Run({Op(OP_PUTROOTFH)}).status(), NFS4_OK);
}

}  // namespace
}  // namespace tarn::nfs4::testing
