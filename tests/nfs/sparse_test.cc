// ALLOCATE, DEALLOCATE, SEEK, READ_PLUS, IO_ADVISE: RFC 7862 sections 15.1, 15.4, 15.5, 15.10,
// 15.11.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr uint64_t kBlock = vfs::kCloneBlockBytes;

class SparseTest : public Nfs42Test {
 protected:
  SparseTest() {
    auto made = client->Create(root, "sparse");
    EXPECT_EQ(made.status, NFS4_OK);
    file = *made;
  }
  void Write(uint64_t offset, std::string_view data) {
    ASSERT_EQ(client->Write(file.fh, file.state, offset, AsOpaque(data)).status, NFS4_OK);
  }
  // Data in blocks 4 and 8, and ten blocks in all.
  void WriteTwoIslands() {
    Write(4 * kBlock, std::string(kBlock, 'a'));
    Write(8 * kBlock, std::string(kBlock, 'b'));
    SetAttributes size;
    size.size = 10 * kBlock;
    ASSERT_EQ(client->SetAttributesOf(file.fh, size, file.state), NFS4_OK);
  }
  uint64_t Seek(uint64_t offset, data_content4 what) {
    auto found = client->Seek(file.fh, file.state, offset, what);
    EXPECT_EQ(found.status, NFS4_OK);
    return found->sr_offset;
  }
  // Reads by READ_PLUS and puts the segments together.
  std::string ReadAll() {
    std::string content;
    for (bool end = false; !end;) {
      auto read = client->ReadPlus(file.fh, file.state, content.size(), 1 << 20);
      EXPECT_EQ(read.status, NFS4_OK);
      if (!read.ok() || (read->segments.empty() && !read->end)) return "does not end";
      for (const auto& segment : read->segments) {
        EXPECT_EQ(segment.offset, content.size());
        EXPECT_GT(segment.length, 0U);
        content += segment.hole ? std::string(segment.length, '\0') : AsText(segment.data);
      }
      end = read->end;
    }
    return content;
  }
  OpenFile file;
};

TEST_P(SparseTest, AllocateGrowsTheFileWithZeros) {
  Write(0, "begin");
  auto before = client->GetAttributes(file.fh);
  ASSERT_EQ(client->Allocate(file.fh, file.state, 3, 100'000), NFS4_OK);
  auto after = client->GetAttributes(file.fh);
  EXPECT_EQ(after->size, 100'003U);
  EXPECT_GE(after->space_used, 100'003U);
  EXPECT_GT(after->change, before->change);
  EXPECT_EQ(Content(file.fh), "begin" + std::string(99'998, '\0'));
  ASSERT_EQ(client->Allocate(file.fh, file.state, 0, 10), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file.fh)->size, 100'003U) << "it never cuts";
}

// What follows in the same compound is so after the change: Linux takes the size from there.
TEST_P(SparseTest, AttributesInTheSameCompoundAreThoseAfterTheChange) {
  Write(0, "begin");
  auto told = [&](nfs_opnum4 number, const auto& args) {
    Compound compound;
    compound.Put(file.fh).Add(number, args).GetAttr({FATTR4_CHANGE, FATTR4_SIZE});
    CompoundReply reply = client->Run(compound);
    EXPECT_EQ(reply.status, NFS4_OK);
    nfs_client::Attributes attributes;
    EXPECT_TRUE(nfs_client::Parse(reply.Get<GETATTR4res>(2).resok4.obj_attributes, attributes));
    EXPECT_EQ(attributes.change, client->GetAttributes(file.fh)->change)
        << static_cast<uint32_t>(number);
    return attributes.size;
  };
  EXPECT_EQ(told(OP_ALLOCATE, ALLOCATE4args{file.state, 3, 100'000}), 100'003U);
  EXPECT_EQ(told(OP_DEALLOCATE, DEALLOCATE4args{file.state, 10, 50'000}), 100'003U);
  EXPECT_EQ(told(OP_SETXATTR, SETXATTR4args{SETXATTR4_EITHER, "colour", AsOpaque("red")}),
            100'003U);
  EXPECT_EQ(told(OP_REMOVEXATTR, REMOVEXATTR4args{"colour"}), 100'003U);
}

TEST_P(SparseTest, AllocatedRoomIsCountedAtOnce) {
  auto point = world.AddAccessPoint("/small");
  world.SetQuota(point, {.bytes_max = 1 << 20, .files_max = 0});
  auto entered = client->Walk(point.name);
  ASSERT_EQ(entered.status, NFS4_OK);
  auto held = client->Create(*entered, "f");
  ASSERT_EQ(held.status, NFS4_OK);
  EXPECT_EQ(client->Allocate(held->fh, held->state, 0, 2 << 20), NFS4ERR_DQUOT);
  EXPECT_EQ(client->GetAttributes(held->fh)->size, 0U);
  ASSERT_EQ(client->Allocate(held->fh, held->state, 0, 512 << 10), NFS4_OK);
  auto other = client->Create(*entered, "g");
  EXPECT_EQ(client->Allocate(other->fh, other->state, 0, 768 << 10), NFS4ERR_DQUOT);
  // What was promised can be written.
  Bytes data(512 << 10, std::byte{7});
  EXPECT_EQ(client->Write(held->fh, held->state, 0, data).status, NFS4_OK);
}

TEST_P(SparseTest, DeallocateMakesAHole) {
  Write(0, std::string(10 * kBlock, 'x'));
  auto before = client->GetAttributes(file.fh);
  ASSERT_EQ(client->Deallocate(file.fh, file.state, 2 * kBlock + 100, 5 * kBlock), NFS4_OK);
  auto after = client->GetAttributes(file.fh);
  EXPECT_EQ(after->size, 10 * kBlock);
  EXPECT_LE(after->space_used + 4 * kBlock, before->space_used);
  EXPECT_GT(after->change, before->change);
  std::string wanted(10 * kBlock, 'x');
  wanted.replace(2 * kBlock + 100, 5 * kBlock, 5 * kBlock, '\0');
  EXPECT_EQ(Content(file.fh), wanted);
  EXPECT_EQ(ReadAll(), wanted);
  EXPECT_EQ(Seek(0, NFS4_CONTENT_HOLE), 3 * kBlock) << "whole blocks are holes";
  EXPECT_EQ(Seek(3 * kBlock, NFS4_CONTENT_DATA), 7 * kBlock);
}

TEST_P(SparseTest, DeallocateBehindTheEndChangesNoSize) {
  Write(0, "0123456789");
  EXPECT_EQ(client->Deallocate(file.fh, file.state, 5, UINT64_MAX - 5), NFS4_OK);
  EXPECT_EQ(Content(file.fh), std::string("01234\0\0\0\0\0", 10));
  EXPECT_EQ(client->Deallocate(file.fh, file.state, 1 << 20, 10), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file.fh)->size, 10U);
}

TEST_P(SparseTest, SeekFindsDataAndHoles) {
  WriteTwoIslands();
  EXPECT_EQ(Seek(0, NFS4_CONTENT_DATA), 4 * kBlock);
  EXPECT_EQ(Seek(4 * kBlock + 5, NFS4_CONTENT_DATA), 4 * kBlock + 5);
  EXPECT_EQ(Seek(5 * kBlock, NFS4_CONTENT_DATA), 8 * kBlock);
  EXPECT_EQ(Seek(0, NFS4_CONTENT_HOLE), 0U);
  EXPECT_EQ(Seek(4 * kBlock, NFS4_CONTENT_HOLE), 5 * kBlock);
  EXPECT_EQ(Seek(8 * kBlock + 1, NFS4_CONTENT_HOLE), 9 * kBlock);
  auto none = client->Seek(file.fh, file.state, 9 * kBlock, NFS4_CONTENT_DATA);
  ASSERT_EQ(none.status, NFS4_OK);
  EXPECT_TRUE(none->sr_eof) << "only a hole is left";
}

TEST_P(SparseTest, EveryFileEndsWithAHole) {
  Write(0, "data");
  auto end = client->Seek(file.fh, file.state, 0, NFS4_CONTENT_HOLE);
  ASSERT_EQ(end.status, NFS4_OK);
  EXPECT_EQ(end->sr_offset, 4U);
  EXPECT_TRUE(end->sr_eof);
}

TEST_P(SparseTest, SeekOutsideOfTheFile) {
  EXPECT_EQ(client->Seek(file.fh, file.state, 0, NFS4_CONTENT_DATA).status, NFS4ERR_NXIO);
  Write(0, "data");
  for (uint64_t offset : {uint64_t{4}, uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_EQ(client->Seek(file.fh, file.state, offset, NFS4_CONTENT_DATA).status, NFS4ERR_NXIO);
    EXPECT_EQ(client->Seek(file.fh, file.state, offset, NFS4_CONTENT_HOLE).status, NFS4ERR_NXIO);
  }
  auto other = static_cast<data_content4>(2);
  EXPECT_EQ(client->Seek(file.fh, file.state, 0, other).status, NFS4ERR_UNION_NOTSUPP);
}

TEST_P(SparseTest, ReadPlusTellsHoles) {
  WriteTwoIslands();
  auto read = client->ReadPlus(file.fh, file.state, 0, 1 << 20);
  ASSERT_EQ(read.status, NFS4_OK);
  ASSERT_EQ(read->segments.size(), 5U);
  EXPECT_TRUE(read->end);
  bool hole = true;
  for (const auto& segment : read->segments) {
    EXPECT_EQ(segment.hole, hole) << segment.offset;
    hole = !hole;
  }
  EXPECT_EQ(read->segments[1].offset, 4 * kBlock);
  EXPECT_EQ(AsText(read->segments[1].data), std::string(kBlock, 'a'));
  EXPECT_EQ(read->segments[4].length, kBlock);
  EXPECT_EQ(ReadAll(), Content(file.fh));
}

TEST_P(SparseTest, ReadPlusStaysWithinTheRange) {
  WriteTwoIslands();
  auto part = client->ReadPlus(file.fh, file.state, 4 * kBlock + 10, 20);
  ASSERT_EQ(part.status, NFS4_OK);
  ASSERT_EQ(part->segments.size(), 1U);
  EXPECT_EQ(AsText(part->segments[0].data), std::string(20, 'a'));
  EXPECT_FALSE(part->end);
  auto hole = client->ReadPlus(file.fh, file.state, kBlock, 100);
  ASSERT_EQ(hole->segments.size(), 1U);
  EXPECT_TRUE(hole->segments[0].hole);
  EXPECT_EQ(hole->segments[0].length, 100U);
  EXPECT_FALSE(hole->end);
  auto last = client->ReadPlus(file.fh, file.state, 10 * kBlock - 1, 1);
  EXPECT_EQ(last->segments.size(), 1U);
  EXPECT_TRUE(last->end);
  for (uint64_t offset : {10 * kBlock, UINT64_MAX}) {
    auto beyond = client->ReadPlus(file.fh, file.state, offset, 100);
    ASSERT_EQ(beyond.status, NFS4_OK);
    EXPECT_TRUE(beyond->end);
    EXPECT_TRUE(beyond->segments.empty());
  }
  auto nothing = client->ReadPlus(file.fh, file.state, 0, 0);
  ASSERT_EQ(nothing.status, NFS4_OK);
  EXPECT_TRUE(nothing->segments.empty());
}

TEST_P(SparseTest, ReadPlusOfManySmallHolesComesInParts) {
  constexpr uint64_t kIslands = 100;
  for (uint64_t i = 0; i < kIslands; ++i) Write((2 * i + 1) * kBlock, "island");
  auto first = client->ReadPlus(file.fh, file.state, 0, 8 << 20);
  ASSERT_EQ(first.status, NFS4_OK);
  EXPECT_FALSE(first->end);
  EXPECT_EQ(ReadAll(), Content(file.fh));
}

TEST_P(SparseTest, ReadPlusOfAMegabyteOfData) {
  Write(0, std::string(1 << 20, 'm'));
  auto read = client->ReadPlus(file.fh, file.state, 0, 0xffffffff);
  ASSERT_EQ(read.status, NFS4_OK);
  ASSERT_FALSE(read->segments.empty());
  EXPECT_GT(read->segments[0].length, 1U << 19);
  EXPECT_EQ(ReadAll(), std::string(1 << 20, 'm'));
}

TEST_P(SparseTest, AdviceIsAnsweredHonestly) {
  auto advise = [this](const xdr::Bitmap& hints) {
    Compound compound;
    compound.Put(file.fh).Add(
        OP_IO_ADVISE,
        IO_ADVISE4args{
            .iaa_stateid = file.state, .iaa_offset = 0, .iaa_count = 100, .iaa_hints = hints});
    CompoundReply reply = client->Run(compound);
    EXPECT_EQ(reply.status, NFS4_OK);
    return reply.Get<IO_ADVISE4res>(1).resok4.ior_hints;
  };
  auto bit = [](IO_ADVISE_type4 hint) { return static_cast<uint32_t>(hint); };
  EXPECT_EQ(advise({bit(IO_ADVISE4_WILLNEED), bit(IO_ADVISE4_RANDOM)}), xdr::Bitmap());
  EXPECT_EQ(advise({bit(IO_ADVISE4_NORMAL), 77}), xdr::Bitmap{bit(IO_ADVISE4_NORMAL)});
}

TEST_P(SparseTest, BadRanges) {
  Write(0, "data");
  EXPECT_EQ(client->Allocate(file.fh, file.state, 0, 0), NFS4ERR_INVAL);
  EXPECT_EQ(client->Deallocate(file.fh, file.state, 0, 0), NFS4ERR_INVAL);
  EXPECT_EQ(client->Allocate(file.fh, file.state, vfs::kFileBytesMax, 1), NFS4ERR_FBIG);
  EXPECT_EQ(client->Allocate(file.fh, file.state, UINT64_MAX, UINT64_MAX), NFS4ERR_FBIG);
  EXPECT_EQ(client->GetAttributes(file.fh)->size, 4U);
}

TEST_P(SparseTest, WrongTypes) {
  auto pipe = client->MakeNode(root, "pipe", NF4FIFO);
  auto link = client->Symlink(root, "link", "target");
  for (const Fh& fh : {root, *pipe, *link}) {
    EXPECT_EQ(client->Allocate(fh, {}, 0, 1), NFS4ERR_WRONG_TYPE);
    EXPECT_EQ(client->Deallocate(fh, {}, 0, 1), NFS4ERR_WRONG_TYPE);
    EXPECT_EQ(client->Seek(fh, {}, 0, NFS4_CONTENT_DATA).status, NFS4ERR_WRONG_TYPE);
  }
  EXPECT_EQ(client->ReadPlus(root, {}, 0, 1).status, NFS4ERR_ISDIR);
  EXPECT_EQ(client->ReadPlus(*link, {}, 0, 1).status, NFS4ERR_SYMLINK);
  EXPECT_EQ(client->ReadPlus(*pipe, {}, 0, 1).status, NFS4ERR_WRONG_TYPE);
}

TEST_P(SparseTest, StateidsAndRights) {
  Write(0, "data");
  OpenRequest reading;
  reading.owner = "reader";
  reading.access = OPEN4_SHARE_ACCESS_READ;
  auto reader = client->Open(root, "sparse", reading);
  ASSERT_EQ(reader.status, NFS4_OK);
  EXPECT_EQ(client->Allocate(file.fh, reader->state, 0, 1), NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Deallocate(file.fh, reader->state, 0, 1), NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Seek(file.fh, reader->state, 0, NFS4_CONTENT_DATA).status, NFS4_OK);
  EXPECT_EQ(client->ReadPlus(file.fh, reader->state, 0, 4).status, NFS4_OK);
  stateid4 bad = file.state;
  bad.other[9] ^= std::byte{0x55};
  EXPECT_EQ(client->Allocate(file.fh, bad, 0, 1), NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->Deallocate(file.fh, bad, 0, 1), NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->Seek(file.fh, bad, 0, NFS4_CONTENT_DATA).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->ReadPlus(file.fh, bad, 0, 4).status, NFS4ERR_BAD_STATEID);
  for (const stateid4& special : {nfs_client::AnonymousState(), nfs_client::BypassState()}) {
    EXPECT_EQ(client->Allocate(file.fh, special, 0, 4), NFS4_OK);
    EXPECT_EQ(client->ReadPlus(file.fh, special, 0, 4).status, NFS4_OK);
  }
  auto stranger = Another("stranger", {.uid = 1001, .gid = 9, .gids = {}, .none = false});
  stateid4 none = nfs_client::AnonymousState();
  EXPECT_EQ(stranger->Allocate(file.fh, none, 0, 100), NFS4ERR_ACCESS);
  EXPECT_EQ(stranger->Deallocate(file.fh, none, 0, 100), NFS4ERR_ACCESS);
  EXPECT_EQ(Content(file.fh), "data");
}

TEST_P(SparseTest, AReadOnlyAccessPointIsNotChanged) {
  MakeFile(*client->Mkdir(root, "ro"), "f", "data");
  auto point = world.AddAccessPoint("/ro", {}, {}, true);
  auto fh = client->Walk(point.name + "/f");
  ASSERT_EQ(fh.status, NFS4_OK);
  EXPECT_EQ(client->Allocate(*fh, {}, 0, 100), NFS4ERR_ROFS);
  EXPECT_EQ(client->Deallocate(*fh, {}, 0, 100), NFS4ERR_ROFS);
  EXPECT_EQ(client->SetXattr(*fh, "a", "b").status, NFS4ERR_ROFS);
}

TEST_P(SparseTest, HolesSurviveARestart) {
  WriteTwoIslands();
  ASSERT_EQ(client->Deallocate(file.fh, file.state, 4 * kBlock, kBlock), NFS4_OK);
  ASSERT_EQ(client->Allocate(file.fh, file.state, 0, kBlock), NFS4_OK);
  std::string before = Content(file.fh);
  auto used = client->GetAttributes(file.fh)->space_used;
  world.Restart();
  world.EndGrace();
  client = world.Mount(minor());
  EXPECT_EQ(Content(file.fh), before);
  EXPECT_EQ(client->GetAttributes(file.fh)->space_used, used);
  auto data = client->Seek(file.fh, {}, kBlock, NFS4_CONTENT_DATA);
  EXPECT_EQ(data->sr_offset, 8 * kBlock);
}

NFS_SUITE(SparseTest, Settings42());

}  // namespace
}  // namespace tarn::nfs_test
