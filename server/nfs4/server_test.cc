// COMPOUND rules, sessions and their reply cache (RFC 8881 sections 2.10.6 and 16.2).
#include "server/nfs4/server.h"

#include <gtest/gtest.h>

#include "server/nfs4/attributes.h"
#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4::testing {
namespace {

TEST(Compound, AnswersWhatCameBeforeABrokenOperation) {
  Harness h;
  std::vector<std::byte> request = h.Encoded(0, {Op(OP_PUTROOTFH), Op(OP_GETFH)});
  request[request.size() - 1] = std::byte{200};  // an operation that does not exist
  Reply reply = h.RunRaw(request);
  EXPECT_EQ(reply.status(), NFS4ERR_OP_ILLEGAL);
  ASSERT_EQ(reply.result.resarray.size(), 2U);
  EXPECT_EQ(reply.at<PUTROOTFH4res>(0).status, NFS4_OK);
  EXPECT_EQ(reply.result.resarray[1].resop, OP_ILLEGAL);
  request.resize(request.size() - 4);  // and one that is not there at all
  reply = h.RunRaw(request);
  EXPECT_EQ(reply.status(), NFS4ERR_BADXDR);
  EXPECT_EQ(reply.result.resarray.size(), 2U);
}

TEST(Compound, MinorVersionsAndTheirOperations) {
  Harness h;
  Reply reply = h.Run(7, {Op(OP_PUTROOTFH)});
  EXPECT_EQ(reply.status(), NFS4ERR_MINOR_VERS_MISMATCH);
  EXPECT_TRUE(reply.result.resarray.empty());
  EXPECT_EQ(reply.result.tag, "test");
  reply = h.Run(0, {Op(OP_SEQUENCE, SEQUENCE4args{})});
  EXPECT_EQ(reply.status(), NFS4ERR_OP_ILLEGAL);
  EXPECT_EQ(h.Run(0, {Op(OP_GETFH)}).status(), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(h.Run(1, {Op(OP_PUTROOTFH)}).status(), NFS4ERR_OP_NOT_IN_SESSION);
  Client41 client(h, "client");
  client.Start();
  EXPECT_EQ(client.Run({Op(OP_RENEW, RENEW4args{})}).status(), NFS4ERR_NOTSUPP);
  EXPECT_EQ(client.Run({client.NextSequence(1)}).status(), NFS4ERR_SEQUENCE_POS);
  EXPECT_EQ(client.Run({Op(OP_SEEK, SEEK4args{})}).status(), NFS4ERR_OP_ILLEGAL);
  EXPECT_EQ(client.Run({Op(OP_GETDEVICEINFO, GETDEVICEINFO4args{})}).status(), NFS4ERR_NOTSUPP);
  std::vector<nfs_argop4> many(16, Op(OP_PUTROOTFH));
  EXPECT_EQ(client.Run(many).status(), NFS4ERR_TOO_MANY_OPS);
}

TEST(Compound, ASmallRequestCannotAskForAHugeReply) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  std::string handle;
  stateid4 open = client.OpenFile("f", handle);
  vfs::AttributeChange grow;
  grow.size = 8 << 20;
  vfs::Caller root;
  root.uid = 0;
  vfs::FileId file = h.files->Lookup(root, h.root->root, "f")->id;
  ASSERT_TRUE(h.files->SetAttributes(root, file, grow).ok());
  ASSERT_EQ(client.Run({PutFh(Keep(handle)), Op(OP_CLOSE, CLOSE4args{0, open})}).status(), NFS4_OK);
  std::vector<nfs_argop4> ops = {PutFh(Keep(handle))};
  for (int i = 0; i < 100; ++i) {
    ops.push_back(Op(OP_READ, READ4args{.stateid = {}, .offset = 0, .count = 1 << 20}));
  }
  Reply reply = h.Run(0, ops);
  EXPECT_EQ(reply.status(), NFS4ERR_RESOURCE);
  EXPECT_LT(reply.bytes.size(), 3U << 20);
}

CREATE4args Directory(std::string_view name) {
  CREATE4args create;
  create.objtype.type = NF4DIR;
  create.objname = name;
  return create;
}

TEST(Session, ARetransmissionGetsTheSameReplyAndChangesNothing) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  auto request = h.Encoded(
      1, {client.NextSequence(), Op(OP_PUTROOTFH), Op(OP_CREATE, Directory("made")), Op(OP_GETFH)});
  Reply first = h.RunRaw(request);
  ASSERT_EQ(first.status(), NFS4_OK);
  Reply again = h.RunRaw(request);
  EXPECT_EQ(again.bytes, first.bytes);
  // Linux tells its highest slot anew when it sends a request again after a reconnect.
  nfs_argop4 sequence = client.NextSequence();
  auto remove = [&](uint32_t highest) {
    std::get<SEQUENCE4args>(sequence.u).sa_highest_slotid = highest;
    return h.Run(1, {sequence, Op(OP_PUTROOTFH), Op(OP_REMOVE, REMOVE4args{.target = "made"})});
  };
  EXPECT_EQ(remove(1).status(), NFS4_OK);
  EXPECT_EQ(remove(2).status(), NFS4_OK);
  // The same slot and sequence for another request.
  --client.sequences[0];
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH)}).status(), NFS4ERR_SEQ_FALSE_RETRY);
  client.sequences[0] += 3;
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH)}).status(), NFS4ERR_SEQ_MISORDERED);
}

TEST(Session, ARetransmissionThatWasNotCachedIsToldSo) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  auto request = h.Encoded(1, {client.NextSequence(0, false), Op(OP_PUTROOTFH), Op(OP_GETFH)});
  ASSERT_EQ(h.RunRaw(request).status(), NFS4_OK);
  Reply again = h.RunRaw(request);
  EXPECT_EQ(again.status(), NFS4ERR_RETRY_UNCACHED_REP);
  EXPECT_EQ(again.at<SEQUENCE4res>(0).sr_status, NFS4_OK);
  // The slot goes on as if nothing had been.
  EXPECT_EQ(client.Run({Op(OP_PUTROOTFH)}).status(), NFS4_OK);
}

TEST(Session, AReplyThatIsTooBigToBeCachedIsRefusedBeforeAnythingChanges) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  std::vector<nfs_argop4> ops = {client.NextSequence(), Op(OP_PUTROOTFH)};
  GETATTR4args all{.attr_request = SupportedAttributes(1)};
  all.attr_request.Clear(FATTR4_TIME_ACCESS_SET);
  all.attr_request.Clear(FATTR4_TIME_MODIFY_SET);
  for (int i = 0; i < 8; ++i) ops.push_back(Op(OP_GETATTR, all));
  ops.push_back(Op(OP_CREATE, Directory("never")));
  EXPECT_EQ(h.Run(1, ops).status(), NFS4ERR_REP_TOO_BIG_TO_CACHE);
  Reply look = client.Run({Op(OP_PUTROOTFH), Op(OP_LOOKUP, LOOKUP4args{.objname = "never"})});
  EXPECT_EQ(look.status(), NFS4ERR_NOENT);
}

TEST(Session, CreateSessionIsExactlyOnceToo) {
  Harness h;
  Client41 client(h, "client");
  client.Start();
  CREATE_SESSION4args create;
  create.csa_clientid = client.id;
  create.csa_sequence = 2;
  create.csa_fore_chan_attrs = {.ca_headerpadsize = 0,
                                .ca_maxrequestsize = 4096,
                                .ca_maxresponsesize = 4096,
                                .ca_maxresponsesize_cached = 4096,
                                .ca_maxoperations = 4,
                                .ca_maxrequests = 4,
                                .ca_rdma_ird = {}};
  create.csa_back_chan_attrs = create.csa_fore_chan_attrs;
  Reply first = h.Run(1, {Op(OP_CREATE_SESSION, create)});
  ASSERT_EQ(first.status(), NFS4_OK);
  EXPECT_EQ(h.Run(1, {Op(OP_CREATE_SESSION, create)}).bytes, first.bytes);
  create.csa_sequence = 9;
  EXPECT_EQ(h.Run(1, {Op(OP_CREATE_SESSION, create)}).status(), NFS4ERR_SEQ_MISORDERED);
}

TEST(Replay40, ARemoveThatComesAgainIsNotDoneTwice) {
  Harness h;
  ASSERT_EQ(h.Run(0, {Op(OP_PUTROOTFH), Op(OP_CREATE, Directory("d"))}).status(), NFS4_OK);
  auto request = h.Encoded(0, {Op(OP_PUTROOTFH), Op(OP_REMOVE, REMOVE4args{.target = "d"})});
  ++h.xid;
  Reply first = h.RunRaw(request);
  ASSERT_EQ(first.status(), NFS4_OK);
  h.peer.connection = 2;  // over another connection
  EXPECT_EQ(h.RunRaw(request).bytes, first.bytes);
  ++h.xid;  // but another request is another one
  EXPECT_EQ(h.RunRaw(request).status(), NFS4ERR_NOENT);
}

}  // namespace
}  // namespace tarn::nfs4::testing
