// The limits that EFS documents ("Amazon EFS quotas", limits for each file system), each with its
// error. The numbers are written out here, so that a change of a constant does not change the test
// with it.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr size_t kNameBytes = 255;
constexpr size_t kTargetBytes = 4080;
constexpr uint32_t kLinks = 177;
constexpr uint32_t kDepth = 1000;
constexpr uint64_t kFileBytes = 52'673'613'135'872;
constexpr uint64_t kLocks = 512;
constexpr uint32_t kOpens = 32'768;
constexpr uint32_t kConnections = 25'000;

class LimitsTest : public NfsTest {
 protected:
  // Directories named "d" below one another, and the last one's handle.
  Fh MakeChain(const Fh& top, uint32_t length) {
    constexpr uint32_t kAtOnce = 50;
    Fh deepest = top;
    for (uint32_t depth = 0; depth < length;) {
      uint32_t more = std::min(kAtOnce, length - depth);
      Compound chain;
      chain.Put(deepest);
      for (uint32_t i = 0; i < more; ++i) {
        chain.Add(OP_CREATE,
                  CREATE4args{.objtype = {.type = NF4DIR}, .objname = "d", .createattrs = {}});
      }
      chain.GetFh();
      CompoundReply reply = client->Run(chain);
      EXPECT_EQ(reply.status, NFS4_OK) << "below " << depth;
      if (reply.status != NFS4_OK) return deepest;
      auto fh = reply.Get<GETFH4res>(more + 1).resok4.object;
      deepest.assign(fh.begin(), fh.end());
      depth += more;
    }
    return deepest;
  }
};

// RFC 8881 sections 5.8.2.17 (maxname), 5.8.2.16 (maxlink), 5.8.2.15 (maxfilesize).
TEST_P(LimitsTest, AreToldAsAttributes) {
  auto told = client->GetAttributes(root, {FATTR4_MAXFILESIZE, FATTR4_MAXLINK, FATTR4_MAXNAME});
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->maxfilesize, kFileBytes);
  EXPECT_EQ(told->maxlink, kLinks);
  EXPECT_EQ(told->maxname, kNameBytes);
}

TEST_P(LimitsTest, NamesAreUpTo255BytesInEveryOperation) {
  std::string longest(kNameBytes, 'n');
  std::string longer = longest + "n";
  Fh file = MakeFile(root, "file");
  EXPECT_EQ(client->Lookup(root, longer).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Mkdir(root, longer).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Create(root, longer).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Open(root, longer).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Link(file, root, longer), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Rename(root, "file", root, longer), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Rename(root, longer, root, "other"), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Remove(root, longer), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Rename(root, "file", root, longest), NFS4_OK);
  EXPECT_EQ(*client->Lookup(root, longest), file);
  EXPECT_EQ(Names(root), std::vector<std::string>{longest});
  EXPECT_EQ(client->Remove(root, longest), NFS4_OK);
}

// Bytes, not characters: 85 of three bytes each fit.
TEST_P(LimitsTest, NamesAreCountedInBytes) {
  std::string name;
  for (int i = 0; i < 85; ++i) name += "\xe2\x82\xac";
  EXPECT_EQ(client->Mkdir(root, name).status, NFS4_OK);
  EXPECT_EQ(client->Mkdir(root, name + "\xe2\x82\xac").status, NFS4ERR_NAMETOOLONG);
}

TEST_P(LimitsTest, SymlinkTargetsAreUpTo4080Bytes) {
  std::string longest(kTargetBytes, 't');
  auto link = client->Symlink(root, "link", longest);
  ASSERT_EQ(link.status, NFS4_OK);
  EXPECT_EQ(*client->Readlink(*link), longest);
  EXPECT_EQ(client->GetAttributes(*link)->size, kTargetBytes);
  EXPECT_EQ(client->Symlink(root, "longer", longest + "t").status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Lookup(root, "longer").status, NFS4ERR_NOENT);
}

TEST_P(LimitsTest, AFileHasUpTo177Links) {
  Fh file = MakeFile(root, "l1");
  for (uint32_t i = 2; i <= kLinks; ++i) {
    ASSERT_EQ(client->Link(file, root, "l" + std::to_string(i)), NFS4_OK) << i;
  }
  EXPECT_EQ(client->GetAttributes(file)->numlinks, kLinks);
  EXPECT_EQ(client->Link(file, root, "more"), NFS4ERR_MLINK);
  EXPECT_EQ(client->Lookup(root, "more").status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Remove(root, "l1"), NFS4_OK);
  EXPECT_EQ(client->Link(file, root, "more"), NFS4_OK);
}

TEST_P(LimitsTest, DirectoriesAreUpTo1000Deep) {
  Fh above = MakeChain(root, kDepth - 1);
  Fh deepest = *client->Mkdir(above, "d");
  EXPECT_EQ(client->Mkdir(deepest, "too deep").status, NFS4ERR_NAMETOOLONG);
  ASSERT_TRUE(client->Mkdir(root, "moved").ok());
  EXPECT_EQ(client->Rename(root, "moved", deepest, "moved"), NFS4ERR_NAMETOOLONG);
  Fh file = MakeFile(deepest, "file", "at the bottom");
  EXPECT_EQ(Content(file), "at the bottom");
  EXPECT_EQ(client->Rename(deepest, "file", deepest, "renamed"), NFS4_OK);
  EXPECT_EQ(*client->Lookup(deepest, "renamed"), file);
  // The limit is on where a directory is made or moved to. What lies in one that is moved comes
  // along, and can be used and taken away, but nothing more is made so deep.
  auto moved = client->Lookup(root, "moved");
  ASSERT_TRUE(moved.ok());
  auto inside = client->Mkdir(*moved, "inside");
  ASSERT_TRUE(inside.ok());
  ASSERT_EQ(client->Rename(root, "moved", above, "moved"), NFS4_OK);
  EXPECT_EQ(client->Mkdir(*inside, "more").status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Mkdir(*moved, "more").status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(Content(MakeFile(*inside, "file", "x")), "x");
  EXPECT_EQ(*client->LookupParent(*inside), *moved);
  EXPECT_EQ(client->Remove(*inside, "file"), NFS4_OK);
  EXPECT_EQ(client->Rename(*moved, "inside", root, "out"), NFS4_OK) << "the way back";
  EXPECT_EQ(client->Mkdir(*inside, "more").status, NFS4_OK);
}

// "Locks per file": byte ranges, of all its users together.
TEST_P(LimitsTest, AFileHasUpTo512Locks) {
  auto file = client->Create(root, "f", 0666);
  ASSERT_TRUE(file.ok());
  auto lock = client->Lock(*file, "one", WRITE_LT, 0, 1);
  ASSERT_TRUE(lock.ok());
  auto other = Another("other");
  auto theirs = other->Open(root, "f");
  ASSERT_TRUE(theirs.ok());
  auto their_lock = other->Lock(*theirs, "two", READ_LT, 2, 1);
  ASSERT_TRUE(their_lock.ok());
  for (uint64_t i = 2; i < kLocks; ++i) {
    ASSERT_EQ(client->LockMore(*file, *lock, WRITE_LT, 2 * i, 1), NFS4_OK) << i;
  }
  EXPECT_EQ(client->LockMore(*file, *lock, WRITE_LT, 2 * kLocks, 1), NFS4ERR_DQUOT);
  EXPECT_EQ(other->LockMore(*theirs, *their_lock, WRITE_LT, 2 * kLocks, 1), NFS4ERR_DQUOT);
  EXPECT_EQ(client->LockMore(*file, *lock, WRITE_LT, 2 * kLocks - 2, 9), NFS4_OK) << "one of them";
  EXPECT_EQ(client->Unlock(*file, *lock, 4, 1), NFS4_OK);
  EXPECT_EQ(other->LockMore(*theirs, *their_lock, WRITE_LT, 3 * kLocks, 1), NFS4_OK);
}

// RFC 8881 sections 18.30 (SETATTR), 18.32 (WRITE), 18.16 (OPEN).
TEST_P(LimitsTest, FilesAreUpTo52673613135872Bytes) {
  auto file = client->Create(root, "large");
  ASSERT_TRUE(file.ok());
  auto write = [&](uint64_t offset, std::string_view text) {
    return client->Write(file->fh, file->state, offset, AsOpaque(text)).status;
  };
  SetAttributes size;
  size.size = kFileBytes + 1;
  EXPECT_EQ(client->SetAttributesOf(file->fh, size, file->state), NFS4ERR_FBIG);
  EXPECT_EQ(write(kFileBytes, "x"), NFS4ERR_FBIG);
  EXPECT_EQ(write(UINT64_MAX - 1, "long"), NFS4ERR_FBIG);
  EXPECT_EQ(client->GetAttributes(file->fh)->size, 0U);
  EXPECT_EQ(write(kFileBytes - 1, "x"), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file->fh)->size, kFileBytes);
  auto read = client->Read(file->fh, file->state, kFileBytes - 2, 10);
  EXPECT_EQ(AsText(read->data), std::string_view("\0x", 2));
  EXPECT_TRUE(read->end);
  size.size = 0;
  EXPECT_EQ(client->SetAttributesOf(file->fh, size, file->state), NFS4_OK);
  size.size = kFileBytes;
  EXPECT_EQ(client->SetAttributesOf(file->fh, size, file->state), NFS4_OK);
}

TEST_P(LimitsTest, AnOpenThatAsksForALargerFileMakesNone) {
  OpenRequest request;
  request.create = GUARDED4;
  request.attributes.size = kFileBytes + 1;
  EXPECT_EQ(client->Open(root, "large", request).status, NFS4ERR_FBIG);
  EXPECT_EQ(client->Lookup(root, "large").status, NFS4ERR_NOENT);
}

// "Open files per client". They are many, so one engine and version has to do.
class OpensLimitTest : public NfsTest {};

TEST_P(OpensLimitTest, AClientHasUpTo32768OpenFiles) {
  constexpr uint32_t kAtOnce = 32;
  MakeFile(root, "f");
  auto open = [&](Compound& compound, const std::string& owner) {
    OPEN4args args;
    args.share_access = OPEN4_SHARE_ACCESS_READ;
    args.owner = {.clientid = client->client_id(), .owner = AsOpaque(owner)};
    args.claim.file = "f";
    compound.Put(root).Add(OP_OPEN, args);
  };
  for (uint32_t made = 0; made < kOpens; made += kAtOnce) {
    Compound compound;
    for (uint32_t i = 0; i < kAtOnce - 1; ++i) open(compound, std::to_string(made + i));
    ASSERT_EQ(client->Run(compound).status, NFS4_OK) << "after " << made;
    Compound last;
    open(last, std::to_string(made + kAtOnce - 1));
    ASSERT_EQ(client->Run(last).status, NFS4_OK);
  }
  Compound more;
  open(more, "one more");
  EXPECT_EQ(client->Run(more).status, NFS4ERR_DQUOT);
  EXPECT_TRUE(Another("other")->Open(root, "f").ok()) << "another client has its own";
}

TEST(ConnectionsLimit, Is25000) {
  EXPECT_EQ(rpc::ServerOptions().connections_max, kConnections);
}

NFS_SUITE(LimitsTest, EverySetting());
NFS_SUITE(OpensLimitTest, (std::vector<Setting>{{EngineKind::kMemory, 1}}));

}  // namespace
}  // namespace tarn::nfs_test
