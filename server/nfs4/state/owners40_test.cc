// 4.0: client ids, owners and their sequence (RFC 7530 sections 9.1.7, 16.18, 16.33).
#include <gtest/gtest.h>

#include <cstring>

#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4::testing {
namespace {

struct Owners40 : ::testing::Test {
  clientid4 SetClient(const std::string& name, uint64_t boot, bool confirm = true) {
    SETCLIENTID4args set;
    std::memcpy(set.client.verifier.data(), &boot, sizeof(boot));
    set.client.id = Keep(name);
    Reply reply = h.Run(0, {Op(OP_SETCLIENTID, set)});
    EXPECT_EQ(reply.status(), NFS4_OK);
    auto ok = reply.at<SETCLIENTID4res>(0).resok4;
    if (confirm) {
      SETCLIENTID_CONFIRM4args args{.clientid = ok.clientid,
                                    .setclientid_confirm = ok.setclientid_confirm};
      EXPECT_EQ(h.Run(0, {Op(OP_SETCLIENTID_CONFIRM, args)}).status(), NFS4_OK);
    }
    return ok.clientid;
  }
  OPEN4args OpenArgs(uint32_t seqid) {
    OPEN4args open;
    open.seqid = seqid;
    open.share_access = OPEN4_SHARE_ACCESS_BOTH;
    open.owner = {.clientid = client, .owner = Keep("opener")};
    open.openhow.opentype = OPEN4_CREATE;
    open.openhow.how.mode = GUARDED4;
    open.claim.claim = CLAIM_NULL;
    open.claim.file = "f";
    return open;
  }
  Reply Open(uint32_t seqid) {
    Reply reply = h.Run(0, {Op(OP_PUTROOTFH), Op(OP_OPEN, OpenArgs(seqid)), Op(OP_GETFH)});
    if (reply.status() == NFS4_OK) {
      stateid = reply.at<OPEN4res>(1).resok4.stateid;
      auto object = reply.at<GETFH4res>(2).resok4.object;
      handle.assign(object.begin(), object.end());
    }
    return reply;
  }
  Reply Confirm(uint32_t seqid) {
    Reply reply = h.Run(0, {PutFh(handle), Op(OP_OPEN_CONFIRM, OPEN_CONFIRM4args{stateid, seqid})});
    if (reply.status() == NFS4_OK) stateid = reply.at<OPEN_CONFIRM4res>(1).resok4.open_stateid;
    return reply;
  }
  Harness h;
  clientid4 client = 0;
  stateid4 stateid;
  std::vector<std::byte> handle;
};

TEST_F(Owners40, OpenIsConfirmedAndReplayed) {
  client = SetClient("c", 1);
  Reply first = Open(7);
  ASSERT_EQ(first.status(), NFS4_OK);
  EXPECT_TRUE((first.at<OPEN4res>(1).resok4.rflags & OPEN4_RESULT_CONFIRM) != 0);
  // A retransmission, although GUARDED4 would find the file there.
  Reply again = Open(7);
  EXPECT_EQ(again.bytes, first.bytes);
  READ4args read{.stateid = stateid, .offset = 0, .count = 1};
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_READ, read)}).status(), NFS4ERR_BAD_STATEID);
  ASSERT_EQ(Confirm(8).status(), NFS4_OK);
  read.stateid = stateid;
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_READ, read)}).status(), NFS4_OK);
  EXPECT_EQ(Open(11).status(), NFS4ERR_BAD_SEQID);
  EXPECT_EQ(Open(9).status(), NFS4ERR_EXIST);
  EXPECT_EQ(Open(9).status(), NFS4ERR_EXIST) << "a failure is replayed too";
  CLOSE4args close{.seqid = 10, .open_stateid = stateid};
  Reply closed = h.Run(0, {PutFh(handle), Op(OP_CLOSE, close)});
  ASSERT_EQ(closed.status(), NFS4_OK);
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_CLOSE, close)}).bytes, closed.bytes);
}

TEST_F(Owners40, LockOwnersFollowTheirOwnSequence) {
  client = SetClient("c", 1);
  ASSERT_EQ(Open(1).status(), NFS4_OK);
  ASSERT_EQ(Confirm(2).status(), NFS4_OK);
  LOCK4args lock{.locktype = WRITE_LT, .reclaim = false, .offset = 0, .length = 10};
  lock.locker.new_lock_owner = true;
  lock.locker.open_owner = {.open_seqid = 3,
                            .open_stateid = stateid,
                            .lock_seqid = 50,
                            .lock_owner = {.clientid = client, .owner = Keep("locker")}};
  Reply locked = h.Run(0, {PutFh(handle), Op(OP_LOCK, lock)});
  ASSERT_EQ(locked.status(), NFS4_OK);
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_LOCK, lock)}).bytes, locked.bytes);
  stateid4 held = locked.at<LOCK4res>(1).resok4.lock_stateid;
  RELEASE_LOCKOWNER4args release{{.clientid = client, .owner = Keep("locker")}};
  EXPECT_EQ(h.Run(0, {Op(OP_RELEASE_LOCKOWNER, release)}).status(), NFS4ERR_LOCKS_HELD);
  LOCKU4args unlock{
      .locktype = WRITE_LT, .seqid = 51, .lock_stateid = held, .offset = 0, .length = UINT64_MAX};
  Reply unlocked = h.Run(0, {PutFh(handle), Op(OP_LOCKU, unlock)});
  ASSERT_EQ(unlocked.status(), NFS4_OK);
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_LOCKU, unlock)}).bytes, unlocked.bytes);
  unlock.seqid = 90;
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_LOCKU, unlock)}).status(), NFS4ERR_BAD_SEQID);
  EXPECT_EQ(h.Run(0, {Op(OP_RELEASE_LOCKOWNER, release)}).status(), NFS4_OK);
}

TEST_F(Owners40, ClientIds) {
  client = SetClient("c", 1);
  EXPECT_EQ(SetClient("c", 1), client) << "only its callback changed";
  EXPECT_EQ(h.Run(0, {Op(OP_RENEW, RENEW4args{client})}).status(), NFS4_OK);
  EXPECT_EQ(h.Run(0, {Op(OP_RENEW, RENEW4args{SetClient("d", 1, false)})}).status(),
            NFS4ERR_STALE_CLIENTID)
      << "never confirmed";
  ASSERT_EQ(Open(1).status(), NFS4_OK);
  h.credential.uid = 77;
  SETCLIENTID4args other;
  other.client.id = Keep("c");
  EXPECT_EQ(h.Run(0, {Op(OP_SETCLIENTID, other)}).status(), NFS4ERR_CLID_INUSE);
  h.credential.uid = 0;
  EXPECT_NE(SetClient("c", 2), client) << "rebooted";
  EXPECT_EQ(h.Run(0, {Op(OP_RENEW, RENEW4args{client})}).status(), NFS4ERR_EXPIRED);
}

TEST_F(Owners40, ReclaimsAfterARestart) {
  client = SetClient("c", 1);
  ASSERT_EQ(Open(1).status(), NFS4_OK);
  ASSERT_EQ(Confirm(2).status(), NFS4_OK);
  h.Restart();
  EXPECT_EQ(h.Run(0, {Op(OP_RENEW, RENEW4args{client})}).status(), NFS4ERR_STALE_CLIENTID);
  READ4args read{.stateid = stateid, .offset = 0, .count = 1};
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_READ, read)}).status(), NFS4ERR_STALE_STATEID);
  client = SetClient("c", 1);
  OPEN4args reclaim = OpenArgs(1);
  reclaim.openhow.opentype = OPEN4_NOCREATE;
  reclaim.claim.claim = CLAIM_PREVIOUS;
  Reply opened = h.Run(0, {PutFh(handle), Op(OP_OPEN, reclaim)});
  ASSERT_EQ(opened.status(), NFS4_OK);
  read.stateid = opened.at<OPEN4res>(1).resok4.stateid;
  EXPECT_EQ(h.Run(0, {PutFh(handle), Op(OP_READ, read)}).status(), NFS4_OK);
}

}  // namespace
}  // namespace tarn::nfs4::testing
