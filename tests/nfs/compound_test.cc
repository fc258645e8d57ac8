// COMPOUND itself: RFC 8881 sections 2.6.3, 2.7, 2.10.6.4, 15.2, 16.2; RFC 7530 section 14.2.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class CompoundTest : public NfsTest {
 protected:
  nfsstat4 Status(Compound& compound) { return client->Run(compound).status; }
};

TEST_P(CompoundTest, EmptyAndTag) {
  Compound compound;
  compound.SetTag("tag with \xc3\xa4");
  CompoundReply reply = client->Run(compound);
  EXPECT_EQ(reply.status, NFS4_OK);
  EXPECT_EQ(reply.size(), 0U);
  EXPECT_EQ(reply.tag(), "tag with \xc3\xa4");
}

TEST_P(CompoundTest, StopsAtTheFirstError) {
  Compound compound;
  compound.Root().Lookup("absent").GetFh().GetFh();
  CompoundReply reply = client->Run(compound);
  EXPECT_EQ(reply.status, NFS4ERR_NOENT);
  ASSERT_EQ(reply.size(), 2U);
  EXPECT_EQ(reply.Get<LOOKUP4res>(1).status, NFS4ERR_NOENT);
}

TEST_P(CompoundTest, AttributesAfterAChangeOfNamesAreThoseAfterIt) {
  Fh directory = *client->Mkdir(root, "directory");
  MakeFile(directory, "a", "");
  auto told = [&](nfs_opnum4 number, const auto& args) {
    Compound compound;
    compound.Put(directory).SaveFh().Add(number, args).GetAttr({FATTR4_CHANGE});
    CompoundReply reply = client->Run(compound);
    EXPECT_EQ(reply.status, NFS4_OK) << static_cast<uint32_t>(number);
    nfs_client::Attributes attributes;
    EXPECT_TRUE(nfs_client::Parse(reply.Get<GETATTR4res>(3).resok4.obj_attributes, attributes));
    EXPECT_EQ(attributes.change, client->GetAttributes(directory)->change)
        << static_cast<uint32_t>(number);
  };
  told(OP_RENAME, RENAME4args{"a", "b"});
  told(OP_REMOVE, REMOVE4args{"b"});
}

TEST_P(CompoundTest, UnknownMinorVersionHasNoResults) {
  for (uint32_t minor : {3U, 4U, 0xffffffffU}) {
    Compound compound;
    compound.Root();
    CompoundReply reply = client->RunMinor(minor, compound);
    EXPECT_EQ(reply.status, NFS4ERR_MINOR_VERS_MISMATCH);
    EXPECT_EQ(reply.size(), 0U);
  }
}

TEST_P(CompoundTest, UnknownOperationIsIllegal) {
  for (uint32_t number : {0U, 1U, 2U, 76U, 9999U, 10044U, 0xffffffffU}) {
    Compound compound;
    compound.Root().Add(static_cast<nfs_opnum4>(number));
    CompoundReply reply = client->Run(compound);
    EXPECT_EQ(reply.status, NFS4ERR_OP_ILLEGAL) << number;
    ASSERT_EQ(reply.size(), 2U);
    EXPECT_EQ(reply.results()[1].resop, OP_ILLEGAL);
  }
}

TEST_P(CompoundTest, OperationsWithoutACurrentFileHandle) {
  auto lone = [this](auto add) {
    Compound compound;
    add(compound);
    return Status(compound);
  };
  EXPECT_EQ(lone([](Compound& c) { c.GetFh(); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.SaveFh(); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Lookup("a"); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_LOOKUPP); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.GetAttr({FATTR4_TYPE}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_ACCESS, ACCESS4args{1}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_REMOVE, REMOVE4args{"a"}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_READLINK); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_READ, READ4args{}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_WRITE, WRITE4args{}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_COMMIT, COMMIT4args{}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Add(OP_READDIR, READDIR4args{.maxcount = 999}); }),
            NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) { c.Root().Add(OP_LINK, LINK4args{"a"}); }), NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(lone([](Compound& c) {
              c.Root().Add(OP_RENAME, RENAME4args{"a", "b"});
            }),
            NFS4ERR_NOFILEHANDLE);
  nfsstat4 restore = lone([](Compound& c) { c.Add(OP_RESTOREFH); });
  EXPECT_TRUE(restore == NFS4ERR_RESTOREFH || restore == NFS4ERR_NOFILEHANDLE);
}

TEST_P(CompoundTest, SaveAndRestore) {
  auto directory = client->Mkdir(root, "d");
  ASSERT_TRUE(directory.ok());
  Compound compound;
  compound.Root().SaveFh().Lookup("d").GetFh().Add(OP_RESTOREFH).GetFh();
  CompoundReply reply = client->Run(compound);
  ASSERT_EQ(reply.status, NFS4_OK);
  auto handle = [&reply](size_t at) {
    xdr::Opaque fh = reply.Get<GETFH4res>(at).resok4.object;
    return Fh(fh.begin(), fh.end());
  };
  EXPECT_EQ(handle(3), *directory);
  EXPECT_EQ(handle(5), root);
}

TEST_P(CompoundTest, ForgedHandles) {
  Bytes handle = root;
  for (size_t i = 0; i < handle.size(); ++i) {
    Bytes forged = handle;
    forged[i] ^= std::byte{0x10};
    nfsstat4 status = client->GetAttributes(forged).status;
    EXPECT_TRUE(status == NFS4ERR_BADHANDLE || status == NFS4ERR_STALE) << i;
  }
  for (size_t size : {0U, 1U, 39U, 41U, 128U}) {
    EXPECT_EQ(client->GetAttributes(Bytes(size, std::byte{1})).status, NFS4ERR_BADHANDLE) << size;
  }
  nfsstat4 too_long = client->GetAttributes(Bytes(129)).status;
  EXPECT_EQ(too_long, NFS4ERR_BADXDR);
}

TEST_P(CompoundTest, BrokenXdrInAnOperationSparesTheEarlierOnes) {
  Compound compound;
  compound.Root().GetFh().Add(OP_LOOKUP);
  compound.raw().Put(uint32_t{100});  // a name of a hundred bytes, of which four come
  compound.raw().Put(uint32_t{0});
  CompoundReply reply = client->Run(compound);
  EXPECT_EQ(reply.status, NFS4ERR_BADXDR);
  ASSERT_EQ(reply.size(), 3U);
  EXPECT_EQ(reply.Get<GETFH4res>(1).status, NFS4_OK);
}

TEST_P(CompoundTest, CountThatLies) {
  Compound fewer;
  fewer.Root().SetCount(2);
  CompoundReply reply = client->Run(fewer);
  EXPECT_NE(reply.status, NFS4_OK);
  Compound many;
  many.SetCount(0x7fffffff);
  reply = client->Run(many);
  EXPECT_NE(reply.status, NFS4_OK);
  EXPECT_EQ(client->Root().status, NFS4_OK);
}

TEST_P(CompoundTest, TooManyOperations) {
  Compound compound;
  for (int i = 0; i < 5000; ++i) compound.Root();
  nfsstat4 status = client->Run(compound).status;
  if (minor() == 0) {
    EXPECT_EQ(status, NFS4ERR_RESOURCE);
  } else {
    EXPECT_EQ(status, NFS4ERR_TOO_MANY_OPS);
  }
  EXPECT_EQ(client->Root().status, NFS4_OK);
}

TEST_P(CompoundTest, OperationsThatEfsDoesNotOffer) {
  Compound attributes;
  attributes.Root().Add(OP_OPENATTR, OPENATTR4args{.createdir = false});
  EXPECT_EQ(Status(attributes), NFS4ERR_NOTSUPP);
  Compound purge;
  purge.Add(OP_DELEGPURGE, DELEGPURGE4args{.clientid = client->client_id()});
  EXPECT_EQ(Status(purge), NFS4ERR_NOTSUPP);
}

TEST_P(CompoundTest, NullProcedureAndUnknownProcedure) {
  auto& connection = client->connection();
  ASSERT_TRUE(connection.Send(1, NFSPROC4_NULL, {}).ok());
  auto null = connection.Receive();
  ASSERT_TRUE(null.ok());
  EXPECT_EQ(null->stat, rpc::SUCCESS);
  EXPECT_TRUE(null->body().empty());
  ASSERT_TRUE(connection.Send(2, 2, {}).ok());
  auto unknown = connection.Receive();
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(unknown->stat, rpc::PROC_UNAVAIL);
  ASSERT_TRUE(connection.Send(3, NFSPROC4_COMPOUND, {}).ok());
  auto empty = connection.Receive();
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->stat, rpc::GARBAGE_ARGS);
}

TEST_P(CompoundTest, OperationsOfTheOtherMinorVersion) {
  Compound newer;
  newer.Add(OP_DESTROY_SESSION, DESTROY_SESSION4args{});
  EXPECT_EQ(client->RunMinor(0, newer).status, NFS4ERR_OP_ILLEGAL);
  if (minor() != 2) {
    Compound seek;
    seek.Root().Add(OP_SEEK, SEEK4args{});
    EXPECT_EQ(Status(seek), NFS4ERR_OP_ILLEGAL);
  }
  if (minor() == 0) return;
  for (auto add : {+[](Compound& c) { c.Add(OP_RENEW, RENEW4args{}); },
                   +[](Compound& c) { c.Add(OP_SETCLIENTID, SETCLIENTID4args{}); },
                   +[](Compound& c) { c.Add(OP_RELEASE_LOCKOWNER, RELEASE_LOCKOWNER4args{}); }}) {
    Compound older;
    add(older);
    EXPECT_EQ(Status(older), NFS4ERR_NOTSUPP);
  }
}

NFS_SUITE(CompoundTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
