// Opens, locks, leases, and what happens to them over a restart, by way of compounds.
#include <gtest/gtest.h>

#include <thread>

#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4::testing {
namespace {

struct StateTest : ::testing::Test {
  StateTest() { one.Start(), two.Start(); }
  nfsstat4 Lock(Client41& client, const std::string& fh, const LOCK4args& lock,
                stateid4* stateid = nullptr) {
    Reply reply = client.Run({PutFh(Bytes(fh)), Op(OP_LOCK, lock)});
    if (reply.status() == NFS4_OK && stateid != nullptr) {
      *stateid = reply.at<LOCK4res>(2).resok4.lock_stateid;
    }
    return reply.status();
  }
  nfsstat4 Close(Client41& client, const std::string& fh, const stateid4& open) {
    return client
        .Run({PutFh(Bytes(fh)), Op(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = open})})
        .status();
  }
  Harness h;
  Client41 one{h, "one"};
  Client41 two{h, "two"};
  std::string handle;
};

TEST_F(StateTest, ShareReservations) {
  stateid4 open = one.OpenFile("f", handle, OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_WRITE);
  std::string unused;
  two.OpenFile("f", unused, OPEN4_SHARE_ACCESS_WRITE, 0, NFS4ERR_SHARE_DENIED);
  two.OpenFile("f", unused, OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_READ, NFS4ERR_SHARE_DENIED);
  two.OpenFile("f", unused, OPEN4_SHARE_ACCESS_READ, 0);
  one.OpenFile("f", unused, OPEN4_SHARE_ACCESS_WRITE, 0, NFS4ERR_SHARE_DENIED);  // it denied itself
  WRITE4args write{.stateid = {}, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")};
  EXPECT_EQ(two.Run({PutFh(Bytes(handle)), Op(OP_WRITE, write)}).status(), NFS4ERR_LOCKED);
  EXPECT_EQ(Close(one, handle, open), NFS4_OK);
  EXPECT_EQ(two.Run({PutFh(Bytes(handle)), Op(OP_WRITE, write)}).status(), NFS4_OK);
}

TEST_F(StateTest, UpgradeAndDowngradeAreOneOpen) {
  stateid4 first = one.OpenFile("f", handle, OPEN4_SHARE_ACCESS_READ);
  stateid4 second = one.OpenFile("f", handle, OPEN4_SHARE_ACCESS_WRITE);
  EXPECT_EQ(first.other, second.other);
  EXPECT_EQ(second.seqid, first.seqid + 1);
  READ4args old{.stateid = first, .offset = 0, .count = 10};
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_READ, old)}).status(), NFS4ERR_OLD_STATEID);
  OPEN_DOWNGRADE4args down{.open_stateid = second, .seqid = 0, .share_access = 1, .share_deny = 0};
  Reply reply = one.Run({PutFh(Bytes(handle)), Op(OP_OPEN_DOWNGRADE, down)});
  ASSERT_EQ(reply.status(), NFS4_OK);
  stateid4 now = reply.at<OPEN_DOWNGRADE4res>(2).resok4.open_stateid;
  WRITE4args write{.stateid = now, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")};
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_WRITE, write)}).status(), NFS4ERR_OPENMODE);
  down.open_stateid = now;
  down.share_access = OPEN4_SHARE_ACCESS_BOTH;
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_OPEN_DOWNGRADE, down)}).status(), NFS4ERR_INVAL);
  EXPECT_EQ(Close(one, handle, now), NFS4_OK);
  EXPECT_EQ(Close(one, handle, now), NFS4ERR_BAD_STATEID);
  // To a mode that it was never opened in by itself.
  stateid4 both = one.OpenFile("f", handle, OPEN4_SHARE_ACCESS_BOTH);
  down.open_stateid = both;
  down.share_access = OPEN4_SHARE_ACCESS_READ;
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_OPEN_DOWNGRADE, down)}).status(), NFS4ERR_INVAL);
}

TEST_F(StateTest, AnOpenThatFailsLeavesTheEarlierOneAsItWas) {
  stateid4 first = one.OpenFile("f", handle, OPEN4_SHARE_ACCESS_READ);
  ASSERT_EQ(Lock(one, handle, LockNew(first, READ_LT, 0, 1)), NFS4_OK);
  std::string unused;
  // That it denies something is to be recorded first.
  h.records.broken = true;
  one.OpenFile("f", unused, OPEN4_SHARE_ACCESS_BOTH, OPEN4_SHARE_DENY_WRITE, NFS4ERR_IO);
  one.OpenFile("g", unused, OPEN4_SHARE_ACCESS_BOTH, OPEN4_SHARE_DENY_WRITE, NFS4ERR_IO);
  h.records.broken = false;
  READ4args read{.stateid = first, .offset = 0, .count = 10};
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_READ, read)}).status(), NFS4_OK);
  WRITE4args write{.stateid = first, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")};
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_WRITE, write)}).status(), NFS4ERR_OPENMODE);
  stateid4 theirs = two.OpenFile("f", unused, OPEN4_SHARE_ACCESS_WRITE);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 0, 1)), NFS4ERR_DENIED);
  two.OpenFile("g", unused, OPEN4_SHARE_ACCESS_WRITE);
  EXPECT_EQ(Close(one, handle, first), NFS4_OK);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 0, 1)), NFS4_OK);
}

TEST_F(StateTest, LocksExcludeAndTellWho) {
  stateid4 mine = one.OpenFile("f", handle);
  stateid4 theirs = two.OpenFile("f", handle);
  stateid4 lock;
  ASSERT_EQ(Lock(one, handle, LockNew(mine, WRITE_LT, 10, 10), &lock), NFS4_OK);
  Reply denied =
      two.Run({PutFh(Bytes(handle)), Op(OP_LOCK, LockNew(theirs, READ_LT, 0, UINT64_MAX))});
  ASSERT_EQ(denied.status(), NFS4ERR_DENIED);
  const LOCK4denied& held = denied.at<LOCK4res>(2).denied;
  EXPECT_EQ(held.offset, 10U);
  EXPECT_EQ(held.length, 10U);
  EXPECT_EQ(held.locktype, WRITE_LT);
  EXPECT_EQ(held.owner.clientid, one.id);
  EXPECT_EQ(held.owner.owner.size(), 6U);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 20, 5)), NFS4_OK);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 5, 0)), NFS4ERR_INVAL);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, UINT64_MAX, 2)), NFS4ERR_INVAL);
  // What is held cannot be given up by FREE_STATEID, but goes with the open.
  EXPECT_EQ(one.Run({Op(OP_FREE_STATEID, FREE_STATEID4args{lock})}).status(), NFS4ERR_LOCKS_HELD);
  EXPECT_EQ(Close(one, handle, mine), NFS4_OK);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 0, UINT64_MAX)), NFS4_OK);
}

TEST_F(StateTest, ALateClientKeepsItsLockUntilAnotherNeedsIt) {
  stateid4 mine = one.OpenFile("f", handle);
  ASSERT_EQ(Lock(one, handle, LockNew(mine, WRITE_LT, 0, 1)), NFS4_OK);
  h.clock.Advance(std::chrono::seconds(45));  // longer than the lease
  h.server->Tick();
  EXPECT_EQ(one.Run({PutFh(Bytes(handle))}).status(), NFS4_OK) << "nobody wanted it";
  h.clock.Advance(std::chrono::seconds(45));
  stateid4 theirs = two.OpenFile("f", handle);
  EXPECT_EQ(Lock(two, handle, LockNew(theirs, WRITE_LT, 0, 1)), NFS4_OK);
  EXPECT_EQ(one.Run({Op(OP_PUTROOTFH)}).status(), NFS4ERR_BADSESSION);
}

TEST_F(StateTest, OpenFilesOutliveTheirNames) {
  stateid4 open = one.OpenFile("f", handle);
  WRITE4args write{.stateid = open, .offset = 0, .stable = FILE_SYNC4, .data = Keep("kept")};
  ASSERT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_WRITE, write)}).status(), NFS4_OK);
  ASSERT_EQ(two.Run({Op(OP_PUTROOTFH), Op(OP_REMOVE, REMOVE4args{"f"})}).status(), NFS4_OK);
  READ4args read{.stateid = open, .offset = 0, .count = 10};
  Reply reply = one.Run({PutFh(Bytes(handle)), Op(OP_READ, read)});
  ASSERT_EQ(reply.status(), NFS4_OK);
  EXPECT_EQ(reply.at<READ4res>(2).resok4.data.size(), 4U);
  ASSERT_EQ(Close(one, handle, open), NFS4_OK);
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_GETATTR, GETATTR4args{{FATTR4_SIZE}})}).status(),
            NFS4ERR_STALE);
}

TEST_F(StateTest, AfterARestartAClientReclaimsWhatItHeld) {
  stateid4 open = one.OpenFile("f", handle);
  ASSERT_EQ(Lock(one, handle, LockNew(open, WRITE_LT, 0, 1)), NFS4_OK);
  ASSERT_EQ(two.Run({Op(OP_PUTROOTFH), Op(OP_REMOVE, REMOVE4args{"f"})}).status(), NFS4_OK);
  h.Restart();
  ASSERT_TRUE(h.server->InGrace());
  // The session goes on, and says what there is to do; the old state is not there yet.
  Reply flags = one.Run({Op(OP_PUTROOTFH)});
  ASSERT_EQ(flags.status(), NFS4_OK);
  EXPECT_EQ(flags.at<SEQUENCE4res>(0).sr_resok4.sr_status_flags,
            SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  READ4args read{.stateid = open, .offset = 0, .count = 10};
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_READ, read)}).status(), NFS4ERR_STALE_STATEID);
  // Someone who had nothing cannot reclaim, nor lock before those who had.
  OPEN4args reclaim = two.OpenArgs("", 3, 0, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  EXPECT_NE(two.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4_OK);
  Reply opened = one.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)});
  ASSERT_EQ(opened.status(), NFS4_OK);
  stateid4 now = opened.at<OPEN4res>(2).resok4.stateid;
  LOCK4args lock = LockNew(now, WRITE_LT, 0, 1);
  EXPECT_EQ(Lock(one, handle, lock), NFS4ERR_GRACE);
  lock.reclaim = true;
  EXPECT_EQ(Lock(one, handle, lock), NFS4_OK);
  EXPECT_EQ(one.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(), NFS4_OK);
  EXPECT_FALSE(h.server->InGrace()) << "all who held state are back";
  EXPECT_EQ(Lock(one, handle, lock), NFS4ERR_NO_GRACE);
  // The unlinked file is still there, and goes with its last open.
  EXPECT_EQ(Close(one, handle, now), NFS4_OK);
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_GETATTR, GETATTR4args{{FATTR4_SIZE}})}).status(),
            NFS4ERR_STALE);
}

TEST_F(StateTest, GraceEndsWithTheLeaseAndForgetsWhoDidNotComeBack) {
  one.OpenFile("f", handle);
  h.Restart();
  Client41 fresh(h, "fresh");
  fresh.Start();
  std::string other;
  fresh.OpenFile("g", other, 3, OPEN4_SHARE_DENY_WRITE, NFS4ERR_GRACE);
  fresh.OpenFile("g", other);  // excludes nobody, so it may be had
  h.clock.Advance(std::chrono::seconds(31));
  h.server->Tick();
  EXPECT_FALSE(h.server->InGrace());
  fresh.OpenFile("k", other, 3, OPEN4_SHARE_DENY_WRITE);
  OPEN4args reclaim = one.OpenArgs("", 3, 0, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  EXPECT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4ERR_NO_GRACE);
  // Nor does it keep anyone waiting after the next restart.
  h.Restart();
  EXPECT_TRUE(h.server->InGrace()) << "for the fresh one";
  ASSERT_EQ(fresh.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(), NFS4_OK);
  EXPECT_TRUE(h.server->InGrace()) << "that may have been meant for the last run";
  ASSERT_EQ(fresh.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(), NFS4_OK);
  EXPECT_FALSE(h.server->InGrace());
}

TEST_F(StateTest, GraceGoesOnWhileSomebodyReclaims) {
  using std::chrono::milliseconds;
  stateid4 open = one.OpenFile("f", handle);
  ASSERT_EQ(Lock(one, handle, LockNew(open, WRITE_LT, 0, 1)), NFS4_OK);
  OPEN4args reclaim = one.OpenArgs("", 3, 0, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  auto in_grace_after = [&](milliseconds pause) {
    h.clock.Advance(pause);
    h.server->Tick();
    return h.server->InGrace();
  };
  h.Restart();
  ASSERT_TRUE(in_grace_after(milliseconds(29'000)));
  Reply opened = one.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)});
  ASSERT_EQ(opened.status(), NFS4_OK);
  EXPECT_TRUE(in_grace_after(milliseconds(1'900))) << "longer than the lease";
  LOCK4args lock = LockNew(opened.at<OPEN4res>(2).resok4.stateid, WRITE_LT, 0, 1);
  lock.reclaim = true;
  EXPECT_EQ(Lock(one, handle, lock), NFS4_OK);
  EXPECT_TRUE(in_grace_after(milliseconds(1'900)));
  EXPECT_FALSE(in_grace_after(milliseconds(200))) << "it seems to be done";
  // Who never ends does not keep all others out.
  h.Restart();
  for (int second = 1; second < 60; ++second) {
    ASSERT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4_OK);
    ASSERT_TRUE(in_grace_after(milliseconds(1'000))) << second;
  }
  ASSERT_EQ(one.Run({PutFh(Bytes(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4_OK);
  EXPECT_FALSE(in_grace_after(milliseconds(1'000)));
}

TEST_F(StateTest, WhoOpensAnewInGraceOrAfterItIsKnownAtTheNextRestart) {
  one.OpenFile("f", handle);
  two.OpenFile("g", handle);
  h.Restart();
  one.OpenFile("f", handle);  // not reclaimed
  h.clock.Advance(std::chrono::seconds(31));
  h.server->Tick();
  ASSERT_FALSE(h.server->InGrace());
  two.OpenFile("g", handle);  // its old record went with the end of grace
  h.Restart();
  OPEN4args reclaim = one.OpenArgs("", 3, 0, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  EXPECT_EQ(
      one.Run({Op(OP_PUTROOTFH), Op(OP_LOOKUP, LOOKUP4args{"f"}), Op(OP_OPEN, reclaim)}).status(),
      NFS4_OK);
  EXPECT_EQ(
      two.Run({Op(OP_PUTROOTFH), Op(OP_LOOKUP, LOOKUP4args{"g"}), Op(OP_OPEN, reclaim)}).status(),
      NFS4_OK);
}

TEST_F(StateTest, AnIdleClientKeepsNobodyWaiting) {
  stateid4 open = one.OpenFile("f", handle);
  ASSERT_EQ(Close(one, handle, open), NFS4_OK);
  h.clock.Advance(std::chrono::seconds(11));
  h.server->Tick();
  h.Restart();
  EXPECT_FALSE(h.server->InGrace());
  one.OpenFile("g", handle);
}

TEST_F(StateTest, ARebootedClientLosesWhatItsOldLifeHeld) {
  stateid4 open = one.OpenFile("f", handle, 3, OPEN4_SHARE_DENY_BOTH);
  Client41 reborn(h, "one", 2);
  reborn.Start();
  reborn.OpenFile("f", handle, 3, OPEN4_SHARE_DENY_BOTH);
  EXPECT_EQ(Close(one, handle, open), NFS4ERR_BADSESSION);
  EXPECT_EQ(reborn.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(),
            NFS4ERR_COMPLETE_ALREADY);
}

TEST_F(StateTest, CurrentStateid) {
  OPEN4args open = one.OpenArgs("f", 3, 0, true);
  stateid4 current{.seqid = 1, .other = {}};
  WRITE4args write{.stateid = current, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")};
  EXPECT_EQ(one.Run({Op(OP_PUTROOTFH), Op(OP_OPEN, open), Op(OP_WRITE, write),
                     Op(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = current})})
                .status(),
            NFS4_OK);
  EXPECT_EQ(
      one.Run({Op(OP_PUTROOTFH), Op(OP_LOOKUP, LOOKUP4args{"f"}), Op(OP_WRITE, write)}).status(),
      NFS4ERR_BAD_STATEID);
}

// Linux frees the state of a lock owner behind its back, and may give the next one the same name:
// so the lock that comes meanwhile is another one's, and is not freed.
TEST_F(StateTest, ALockThatComesWithTheEndOfTheOneBeforeStays) {
  LOCK4args lock = LockNew(one.OpenFile("f", handle), WRITE_LT, 0, 1);
  auto run = [&](uint32_t slot, std::vector<nfs_argop4> ops) {
    ops.insert(ops.begin(), one.NextSequence(slot, false));
    return h.RunRaw(h.Encoded(1, std::move(ops)));
  };
  auto locked = [&](const Reply& reply) { return reply.at<LOCK4res>(2).resok4.lock_stateid; };
  auto unlock = [&](const stateid4& held) {
    return run(0, {PutFh(Bytes(handle)), Op(OP_LOCKU, LOCKU4args{.locktype = WRITE_LT,
                                                                 .seqid = 0,
                                                                 .lock_stateid = held,
                                                                 .offset = 0,
                                                                 .length = 1})});
  };
  for (int i = 0; i < 3000; ++i) {
    Reply first = run(0, {PutFh(Bytes(handle)), Op(OP_LOCK, lock)});
    ASSERT_EQ(first.status(), NFS4_OK);
    Reply free_now = unlock(locked(first));
    ASSERT_EQ(free_now.status(), NFS4_OK);
    stateid4 unused = free_now.at<LOCKU4res>(2).lock_stateid;
    std::thread freer([&] { run(1, {Op(OP_FREE_STATEID, FREE_STATEID4args{unused})}); });
    Reply second = run(0, {PutFh(Bytes(handle)), Op(OP_LOCK, lock)});
    freer.join();
    ASSERT_EQ(second.status(), NFS4_OK);
    ASSERT_EQ(unlock(locked(second)).status(), NFS4_OK) << "after " << i;
  }
}

}  // namespace
}  // namespace tarn::nfs4::testing
