// What a client sees of a restart: its session lives on, and what it sends again is done once.
#include <gtest/gtest.h>

#include "server/nfs4/server.h"
#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4::testing {
namespace {

CREATE4args Directory(std::string_view name) {
  CREATE4args create;
  create.objtype.type = NF4DIR;
  create.objname = name;
  return create;
}

nfs_argop4 RemoveOp(std::string_view name) {
  return Op(OP_REMOVE, REMOVE4args{.target = name});
}

uint32_t FlagsOf(const Reply& reply) {
  return reply.at<SEQUENCE4res>(0).sr_resok4.sr_status_flags;
}

TEST(Restart, AChangeThatIsSentAgainInItsSlotSucceedsAgain) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  ASSERT_EQ(client.Run({Op(OP_PUTROOTFH), Op(OP_CREATE, Directory("d"))}).status(), NFS4_OK);
  auto remove = h.Encoded(1, {client.NextSequence(), Op(OP_PUTROOTFH), RemoveOp("d")});
  ASSERT_EQ(h.RunRaw(remove).status(), NFS4_OK);
  h.Restart();
  Reply again = h.RunRaw(remove);
  EXPECT_EQ(again.status(), NFS4_OK);
  EXPECT_NE(FlagsOf(again) & SEQ4_STATUS_RESTART_RECLAIM_NEEDED, 0U);
  // The slot goes on, and another request is another one.
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH), RemoveOp("d")}).status(), NFS4ERR_NOENT);
}

TEST(Restart, AnExtendedAttributeIsSetAndRemovedOnce) {
  Harness h;
  Client41 client(h, "client", 1, 2);
  client.Start();
  SETXATTR4args args{.sxa_option = SETXATTR4_CREATE, .sxa_key = "a", .sxa_value = Keep("1")};
  auto set = h.Encoded(2, {client.NextSequence(), Op(OP_PUTROOTFH), Op(OP_SETXATTR, args)});
  Reply first = h.RunRaw(set);
  ASSERT_EQ(first.status(), NFS4_OK);
  h.Restart();
  Reply again = h.RunRaw(set);
  ASSERT_EQ(again.status(), NFS4_OK);
  EXPECT_EQ(again.at<SETXATTR4res>(2).sxr_info.after, first.at<SETXATTR4res>(2).sxr_info.after);
  auto remove = h.Encoded(2, {client.NextSequence(), Op(OP_PUTROOTFH),
                              Op(OP_REMOVEXATTR, REMOVEXATTR4args{.rxa_name = "a"})});
  ASSERT_EQ(h.RunRaw(remove).status(), NFS4_OK);
  h.Restart();
  EXPECT_EQ(h.RunRaw(remove).status(), NFS4_OK);
}

// Found by the simulation: a server that died between the end of its grace period and the release
// of unlinked files left those for ever, as its next run had no grace period to end.
TEST(Restart, UnlinkedFilesGoAlsoWithoutAGracePeriod) {
  Harness h;
  vfs::Caller caller{.uid = 0, .gid = 0, .gids = {}};
  vfs::FileId file = h.files->Create(caller, h.root->root, "a", {}).value().attributes.id;
  ASSERT_TRUE(h.files->Pin(file).ok());
  ASSERT_TRUE(h.files->Remove(caller, h.root->root, "a").ok());
  h.Restart();
  ASSERT_FALSE(h.server->InGrace());
  h.server->Tick();
  EXPECT_EQ(h.files->GetAttributes(caller, file).code(), Code::kStale);
}

// What changes data without an open, too: else the copy would be of another moment.
TEST(Restart, ACopyIsMadeOnce) {
  Harness h;
  Client41 client(h, "client", 1, 2);
  client.Start();
  std::string source;
  std::string target;
  client.OpenFile("source", source);
  client.OpenFile("target", target);
  auto write = [&](std::string_view text) {
    return client.Run(
        {PutFh(Keep(source)),
         Op(OP_WRITE, WRITE4args{.stateid = {}, .stable = FILE_SYNC4, .data = Keep(text)})});
  };
  for (bool clone : {false, true}) {
    ASSERT_EQ(write("before").status(), NFS4_OK);
    nfs_argop4 op = clone ? Op(OP_CLONE, CLONE4args{}) : Op(OP_COPY, COPY4args{});
    auto copy = h.Encoded(
        2, {client.NextSequence(1), PutFh(Keep(source)), Op(OP_SAVEFH), PutFh(Keep(target)), op});
    ASSERT_EQ(h.RunRaw(copy).status(), NFS4_OK);
    ASSERT_EQ(write("behind").status(), NFS4_OK);
    h.Restart();
    ASSERT_EQ(h.RunRaw(copy).status(), NFS4_OK);
    Reply read = client.Run({PutFh(Keep(target)), Op(OP_READ, READ4args{.count = 100})});
    ASSERT_EQ(read.status(), NFS4_OK);
    xdr::Opaque data = read.at<READ4res>(2).resok4.data;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), "before");
  }
}

// The server died between the first session of a client's new life and the end of its old ones.
TEST(Restart, AnOldLifeOfAClientTakesNoRecordOfTheNewOne) {
  Harness h;
  Client41 client(h, "client", 1);
  client.Start();
  std::string key;
  std::string session;
  ASSERT_TRUE(h.records
                  .Scan("nfs/session/",
                        [&](std::string_view found, std::string_view value) {
                          key = found;
                          session = value;
                          return true;
                        })
                  .ok());
  Client41 anew(h, "client", 2);
  anew.Start();
  std::string handle;
  anew.OpenFile("f", handle);
  ASSERT_TRUE(h.records.Put(key, session).ok());
  h.Restart();
  ASSERT_TRUE(h.server->InGrace());
  Reply complete = anew.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})});
  ASSERT_EQ(complete.status(), NFS4_OK);
  h.server->Tick();
  anew.OpenFile("f", handle);
  for (int i = 0; i < 10; ++i) {
    h.clock.Advance(std::chrono::seconds(20));
    ASSERT_EQ(anew.Run({Op(OP_PUTROOTFH)}).status(), NFS4_OK);
    h.server->Tick();
  }
  h.Restart();
  EXPECT_TRUE(h.server->InGrace()) << "what it held is known";
}

// Linux tells its highest slot of the moment, also in a request that it sends again.
TEST(Restart, AChangeThatIsSentAgainMayTellAnotherHighestSlot) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  ASSERT_EQ(client.Run({Op(OP_PUTROOTFH), Op(OP_CREATE, Directory("d"))}).status(), NFS4_OK);
  nfs_argop4 sequence = client.NextSequence();
  auto& slots = std::get<SEQUENCE4args>(sequence.u);
  slots.sa_cachethis = true;
  ASSERT_EQ(h.Run(1, {sequence, Op(OP_PUTROOTFH), RemoveOp("d")}).status(), NFS4_OK);
  slots.sa_highest_slotid += 1;
  EXPECT_EQ(h.Run(1, {sequence, Op(OP_PUTROOTFH), RemoveOp("d")}).status(), NFS4_OK);
  EXPECT_EQ(h.Run(1, {sequence, Op(OP_PUTROOTFH), RemoveOp("e")}).status(),
            NFS4ERR_SEQ_FALSE_RETRY);
  h.Restart();
  slots.sa_highest_slotid += 1;
  EXPECT_EQ(h.Run(1, {sequence, Op(OP_PUTROOTFH), RemoveOp("d")}).status(), NFS4_OK);
}

TEST(Restart, AStateOfTheLastRunIsStaleAndANewSessionEndsTheOldOne) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  std::string handle;
  stateid4 opened = client.OpenFile("f", handle);
  h.Restart();
  Reply write = client.Run(
      {PutFh(Keep(handle)),
       Op(OP_WRITE,
          WRITE4args{.stateid = opened, .offset = 0, .stable = FILE_SYNC4, .data = Keep("x")})});
  EXPECT_EQ(write.status(), NFS4ERR_STALE_STATEID);
  sessionid4 old = client.session;
  uint32_t sequence = client.sequences[0];
  client.Start();  // the same client: its id is confirmed already
  EXPECT_NE(client.session, old);
  EXPECT_EQ(FlagsOf(client.Run({Op(OP_PUTROOTFH)})), 0U);
  SEQUENCE4args dead{.sa_sessionid = old, .sa_sequenceid = sequence + 1};
  EXPECT_EQ(h.Run(1, {Op(OP_SEQUENCE, dead)}).status(), NFS4ERR_BADSESSION);
  h.Restart();
  EXPECT_EQ(h.Run(1, {Op(OP_SEQUENCE, dead)}).status(), NFS4ERR_BADSESSION);
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH)}).status(), NFS4_OK);
}

// Found by the soak of the kernel's client: Linux, told of a restart by an answer that crossed its
// RECLAIM_COMPLETE, reclaims all once more, is refused, and gives up its locks (EIO).
TEST(Restart, AClientThatReclaimsIsNotToldOfTheRestartAnyMore) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  std::string handle;
  client.OpenFile("f", handle);
  h.Restart();
  EXPECT_EQ(FlagsOf(client.Run({Op(OP_PUTROOTFH)})), SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  EXPECT_EQ(FlagsOf(client.Run({Op(OP_PUTROOTFH)})), SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  OPEN4args reclaim = client.OpenArgs("", 3, 0, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  Reply opened = client.Run({PutFh(Keep(handle)), Op(OP_OPEN, reclaim)});
  ASSERT_EQ(opened.status(), NFS4_OK);
  EXPECT_EQ(FlagsOf(opened), 0U) << "it knows when this is answered";
  EXPECT_EQ(FlagsOf(client.Run({Op(OP_PUTROOTFH)})), 0U);
  h.Restart();
  EXPECT_EQ(FlagsOf(client.Run({Op(OP_PUTROOTFH)})), SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  Reply complete = client.Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})});
  ASSERT_EQ(complete.status(), NFS4_OK);
  EXPECT_EQ(FlagsOf(complete), 0U);
}

// RFC 8881 section 18.51.3: it says that all is reclaimed from the run it was said to, not from the
// next one, which it reaches when its answer was lost.
TEST(Restart, AReclaimCompleteOfTheLastRunDoesNotCount) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  std::string handle;
  client.OpenFile("f", handle, 3, OPEN4_SHARE_DENY_WRITE);
  OPEN4args reclaim = client.OpenArgs("", 3, OPEN4_SHARE_DENY_WRITE, false);
  reclaim.claim.claim = CLAIM_PREVIOUS;
  h.Restart();
  ASSERT_EQ(client.Run({PutFh(Keep(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4_OK);
  auto complete =
      h.Encoded(1, {client.NextSequence(), Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})});
  ASSERT_EQ(h.RunRaw(complete).status(), NFS4_OK);
  ASSERT_FALSE(h.server->InGrace());
  h.Restart();
  Reply again = h.RunRaw(complete);
  EXPECT_EQ(again.status(), NFS4_OK);
  EXPECT_EQ(FlagsOf(again), SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  EXPECT_TRUE(h.server->InGrace());
  ASSERT_EQ(client.Run({PutFh(Keep(handle)), Op(OP_OPEN, reclaim)}).status(), NFS4_OK);
  // A client that has begun may say it in any slot.
  auto other_slot = client.NextSequence(1);
  Reply done = h.Run(1, {other_slot, Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})});
  EXPECT_EQ(done.status(), NFS4_OK);
  EXPECT_EQ(FlagsOf(done), 0U);
  EXPECT_FALSE(h.server->InGrace());
}

TEST(Restart, ADestroyedSessionDoesNotComeBack) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  DESTROY_SESSION4args destroy{.dsa_sessionid = client.session};
  ASSERT_EQ(h.Run(1, {Op(OP_DESTROY_SESSION, destroy)}).status(), NFS4_OK);
  h.Restart();
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH)}).status(), NFS4ERR_BADSESSION);
}

TEST(Restart, AChangeOf40ThatIsSentAgainSucceedsAgain) {
  Harness h;
  ASSERT_EQ(h.Run(0, {Op(OP_PUTROOTFH), Op(OP_CREATE, Directory("d"))}).status(), NFS4_OK);
  auto remove = h.Encoded(0, {Op(OP_PUTROOTFH), RemoveOp("d")});
  ++h.xid;
  ASSERT_EQ(h.RunRaw(remove).status(), NFS4_OK);
  h.Restart();
  EXPECT_EQ(h.RunRaw(remove).status(), NFS4_OK);
  ++h.xid;
  EXPECT_EQ(h.RunRaw(remove).status(), NFS4ERR_NOENT);
}

// Found by the soak of the kernel's client: whose xids were counted in the other byte order, one
// change of such a client was known after a restart.
TEST(Restart, ManyChangesOf40AreKnownInEitherByteOrderOfXids) {
  for (uint32_t step : {1U, 1U << 24}) {
    Harness h;
    h.xid = 0x6cad2eb5;
    std::vector<std::pair<uint32_t, std::vector<std::byte>>> sent;
    for (int i = 0; i < 100; ++i, h.xid += step) {
      std::string name = "d" + std::to_string(i);
      auto make = h.Encoded(0, {Op(OP_PUTROOTFH), Op(OP_CREATE, Directory(name))});
      sent.emplace_back(h.xid, make);
      ASSERT_EQ(h.RunRaw(make).status(), NFS4_OK);
    }
    h.Restart();
    for (const auto& [xid, make] : sent) {
      h.xid = xid;
      EXPECT_EQ(h.RunRaw(make).status(), NFS4_OK) << std::hex << xid;
    }
  }
}

}  // namespace
}  // namespace tarn::nfs4::testing
