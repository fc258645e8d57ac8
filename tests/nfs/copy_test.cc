// COPY and CLONE, and what is not offered of their kind: RFC 7862 sections 4, 15.2, 15.3, 15.8,
// 15.9, 15.13.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr uint64_t kBlock = vfs::kCloneBlockBytes;

class CopyTest : public Nfs42Test {
 protected:
  CopyTest() : source(*client->Create(root, "source")), target(*client->Create(root, "target")) {}
  std::string Fill(const OpenFile& file, size_t bytes) {
    std::string data(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>('a' + (i * 7 + i / 4096) % 26);
    size_t at = 0;
    while (at < bytes) {
      auto part = AsOpaque(data).subspan(at, std::min<size_t>(bytes - at, 1 << 20));
      auto written = client->Write(file.fh, file.state, at, part);
      EXPECT_EQ(written.status, NFS4_OK);
      if (!written.ok()) break;
      at += written->count;
    }
    return data;
  }
  OpenFile source;
  OpenFile target;
};

class CloneTest : public CopyTest {};

TEST_P(CloneTest, CloneOfAWholeFile) {
  std::string data = Fill(source, 3 * kBlock + 100);
  auto before = client->GetAttributes(target.fh);
  ASSERT_EQ(client->Clone(source, target, 0, 0, 0), NFS4_OK);
  EXPECT_EQ(Content(target.fh), data);
  auto after = client->GetAttributes(target.fh);
  EXPECT_GT(after->change, before->change);
  EXPECT_EQ(after->size, data.size());
  // From now on each goes its own way.
  ASSERT_EQ(client->Write(source.fh, source.state, 10, AsOpaque("SOURCE")).status, NFS4_OK);
  ASSERT_EQ(client->Write(target.fh, target.state, kBlock, AsOpaque("TARGET")).status, NFS4_OK);
  std::string a = data;
  std::string b = data;
  a.replace(10, 6, "SOURCE");
  b.replace(kBlock, 6, "TARGET");
  EXPECT_EQ(Content(source.fh), a);
  EXPECT_EQ(Content(target.fh), b);
}

TEST_P(CloneTest, CloneOfARangeWithinAFile) {
  std::string data = Fill(source, 4 * kBlock);
  ASSERT_EQ(client->Clone(source, source, 0, 2 * kBlock, 2 * kBlock), NFS4_OK);
  EXPECT_EQ(Content(source.fh), data.substr(0, 2 * kBlock) + data.substr(0, 2 * kBlock));
  EXPECT_EQ(client->Clone(source, source, 0, kBlock, 2 * kBlock), NFS4ERR_INVAL) << "they overlap";
}

TEST_P(CloneTest, CloneWantsWholeBlocks) {
  Fill(source, 4 * kBlock + 100);
  Fill(target, 4 * kBlock);
  EXPECT_EQ(client->Clone(source, target, 1, 0, kBlock), NFS4ERR_INVAL);
  EXPECT_EQ(client->Clone(source, target, 0, 1, kBlock), NFS4ERR_INVAL);
  EXPECT_EQ(client->Clone(source, target, 0, 0, kBlock + 1), NFS4ERR_INVAL);
  EXPECT_EQ(client->Clone(source, target, 4 * kBlock, 0, 0), NFS4ERR_INVAL)
      << "a part of a block, before the target's end";
  EXPECT_EQ(client->Clone(source, target, 4 * kBlock, 8 * kBlock, 0), NFS4_OK);
  EXPECT_EQ(client->Clone(source, target, 0, 0, 100 * kBlock), NFS4ERR_INVAL)
      << "behind the source's end";
  auto size = client->GetAttributes(source.fh, {FATTR4_CLONE_BLKSIZE});
  EXPECT_TRUE(size->given.Has(FATTR4_CLONE_BLKSIZE));
}

TEST_P(CopyTest, CopyOfAnyRange) {
  std::string data = Fill(source, 100'000);
  std::string old = Fill(target, 50'000);
  auto copied = client->Copy(source, target, 12'345, 6'789, 54'321);
  ASSERT_EQ(copied.status, NFS4_OK);
  EXPECT_EQ(copied->count, 54'321U);
  EXPECT_EQ(copied->committed, FILE_SYNC4);
  EXPECT_TRUE(copied->synchronous);
  EXPECT_FALSE(copied->job);
  EXPECT_EQ(copied->verifier, *client->Commit(target.fh));
  EXPECT_EQ(Content(target.fh), old.substr(0, 6'789) + data.substr(12'345, 54'321));
}

TEST_P(CopyTest, CopyOfNothingIsUpToTheEnd) {
  std::string data = Fill(source, 10'000);
  auto copied = client->Copy(source, target, 1'000, 0, 0);
  ASSERT_EQ(copied.status, NFS4_OK);
  EXPECT_EQ(copied->count, 9'000U);
  EXPECT_EQ(Content(target.fh), data.substr(1'000));
  auto empty = client->Copy(source, target, 10'000, 0, 0);
  ASSERT_EQ(empty.status, NFS4_OK);
  EXPECT_EQ(empty->count, 0U);
}

TEST_P(CopyTest, ALongSynchronousCopyComesInParts) {
  constexpr uint64_t kLong = 20 << 20;
  std::string data = Fill(source, kLong);
  uint64_t done = 0;
  while (done < kLong) {
    auto copied = client->Copy(source, target, done, done + 1, kLong - done);
    ASSERT_EQ(copied.status, NFS4_OK);
    ASSERT_GT(copied->count, 0U);
    done += copied->count;
  }
  EXPECT_EQ(client->GetAttributes(target.fh)->size, kLong + 1);
  for (uint64_t at : {uint64_t{0}, uint64_t{5} << 20, kLong - 1000}) {
    auto read = client->Read(target.fh, target.state, at + 1, 1000);
    EXPECT_EQ(AsText(read->data), data.substr(at, 1000)) << at;
  }
}

TEST_P(CopyTest, CopyOfASparseFile) {
  SetAttributes size;
  size.size = 1 << 20;
  ASSERT_EQ(client->SetAttributesOf(source.fh, size, source.state), NFS4_OK);
  ASSERT_EQ(client->Write(source.fh, source.state, 512 << 10, AsOpaque("island")).status, NFS4_OK);
  auto copied = client->Copy(source, target, 0, 0, 0);
  ASSERT_EQ(copied.status, NFS4_OK);
  EXPECT_EQ(copied->count, 1U << 20);
  EXPECT_EQ(Content(target.fh), Content(source.fh));
}

TEST_P(CopyTest, BadRanges) {
  Fill(source, 1000);
  EXPECT_EQ(client->Copy(source, target, 1001, 0, 0).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Copy(source, target, 0, 0, 1001).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Copy(source, target, UINT64_MAX, 0, UINT64_MAX).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Copy(source, target, 0, UINT64_MAX, 10).status, NFS4ERR_FBIG);
  EXPECT_EQ(client->Copy(source, target, 0, vfs::kFileBytesMax, 10).status, NFS4ERR_FBIG);
  EXPECT_EQ(client->Copy(source, source, 0, 2000, 10).status, NFS4ERR_INVAL) << "the same file";
  EXPECT_EQ(client->GetAttributes(target.fh)->size, 0U);
}

TEST_P(CopyTest, StateidsOfBothSidesAreChecked) {
  Fill(source, 2 * kBlock);
  OpenFile bad = source;
  bad.state.other[10] ^= std::byte{0x55};
  EXPECT_EQ(client->Copy(bad, target, 0, 0, 0).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->Clone(bad, target, 0, 0, 0), NFS4ERR_BAD_STATEID);
  OpenFile swapped = target;
  swapped.state = source.state;
  EXPECT_EQ(client->Copy(source, swapped, 0, 0, 0).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->Clone(source, swapped, 0, 0, 0), NFS4ERR_BAD_STATEID);
  OpenRequest only;
  only.owner = "only reads";
  only.access = OPEN4_SHARE_ACCESS_READ;
  auto reader = client->Open(root, "target", only);
  EXPECT_EQ(client->Copy(source, *reader, 0, 0, 0).status, NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Clone(source, *reader, 0, 0, 0), NFS4ERR_OPENMODE);
  only.owner = "only writes";
  only.access = OPEN4_SHARE_ACCESS_WRITE;
  auto writer = client->Open(root, "source", only);
  EXPECT_EQ(client->Copy(*writer, target, 0, 0, 0).status, NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Clone(*writer, target, 0, 0, 0), NFS4ERR_OPENMODE);
  EXPECT_EQ(client->GetAttributes(target.fh)->size, 0U);
}

TEST_P(CopyTest, WrongTypesAndMissingHandles) {
  OpenFile directory{.fh = root, .state = {}, .owner = {}, .result = {}};
  EXPECT_EQ(client->Copy(directory, target, 0, 0, 0).status, NFS4ERR_WRONG_TYPE);
  EXPECT_EQ(client->Copy(source, directory, 0, 0, 0).status, NFS4ERR_WRONG_TYPE);
  EXPECT_EQ(client->Clone(directory, target, 0, 0, 0), NFS4ERR_WRONG_TYPE);
  EXPECT_EQ(client->Clone(source, directory, 0, 0, 0), NFS4ERR_WRONG_TYPE);
  Compound no_saved;
  no_saved.Put(target.fh).Add(OP_COPY, COPY4args{});
  EXPECT_EQ(client->Run(no_saved).status, NFS4ERR_NOFILEHANDLE);
  Compound no_current;
  no_current.Add(OP_CLONE, CLONE4args{});
  EXPECT_EQ(client->Run(no_current).status, NFS4ERR_NOFILEHANDLE);
}

TEST_P(CopyTest, NotBetweenAccessPoints) {
  Fill(source, kBlock);
  auto point = world.AddAccessPoint("/point");
  auto there = client->Create(*client->Walk(point.name), "file");
  ASSERT_EQ(there.status, NFS4_OK);
  EXPECT_EQ(client->Copy(source, *there, 0, 0, 0).status, NFS4ERR_XDEV);
  EXPECT_EQ(client->Clone(source, *there, 0, 0, 0), NFS4ERR_XDEV);
}

TEST_P(CopyTest, CurrentStateidsOfBothHandles) {
  std::string data = Fill(source, 1000);
  OPEN4args from{.seqid = 0,
                 .share_access = OPEN4_SHARE_ACCESS_READ,
                 .share_deny = OPEN4_SHARE_DENY_NONE,
                 .owner = {.clientid = client->client_id(), .owner = AsOpaque("from")},
                 .openhow = {},
                 .claim = {.claim = CLAIM_NULL, .file = "source"}};
  OPEN4args to = from;
  to.share_access = OPEN4_SHARE_ACCESS_WRITE;
  to.claim.file = "target";
  Compound compound;
  compound.Root().Add(OP_OPEN, from).SaveFh().Root().Add(OP_OPEN, to);
  compound.Add(OP_COPY, COPY4args{.ca_src_stateid = nfs_client::CurrentState(),
                                  .ca_dst_stateid = nfs_client::CurrentState(),
                                  .ca_consecutive = true,
                                  .ca_synchronous = true,
                                  .ca_source_server = {}});
  CompoundReply reply = client->Run(compound);
  ASSERT_EQ(reply.status, NFS4_OK);
  EXPECT_EQ(Content(target.fh), data);
}

TEST_P(CopyTest, WhatIsNotOffered) {
  auto status = [this](auto add) {
    Compound compound;
    compound.Put(source.fh).SaveFh().Put(target.fh);
    add(compound);
    return client->Run(compound).status;
  };
  EXPECT_EQ(status([](Compound& c) { c.Add(OP_COPY_NOTIFY, COPY_NOTIFY4args{}); }),
            NFS4ERR_NOTSUPP);
  EXPECT_EQ(status([](Compound& c) { c.Add(OP_LAYOUTERROR, LAYOUTERROR4args{}); }),
            NFS4ERR_NOTSUPP);
  EXPECT_EQ(status([](Compound& c) { c.Add(OP_LAYOUTSTATS, LAYOUTSTATS4args{}); }),
            NFS4ERR_NOTSUPP);
  EXPECT_EQ(status([](Compound& c) { c.Add(OP_WRITE_SAME, WRITE_SAME4args{}); }), NFS4ERR_NOTSUPP);
  COPY4args elsewhere{.ca_src_stateid = source.state, .ca_dst_stateid = target.state};
  netloc4 server;
  server.nl_type = NL4_NAME;
  server.nl_name = "other.example";
  elsewhere.ca_source_server.push_back(server);
  EXPECT_EQ(status([&](Compound& c) { c.Add(OP_COPY, elsewhere); }), NFS4ERR_NOTSUPP);
}

NFS_SUITE(CopyTest, Settings42());
NFS_SUITE(CloneTest, Settings42());

}  // namespace
}  // namespace tarn::nfs_test
