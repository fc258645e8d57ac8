// OPEN, OPEN_CONFIRM, OPEN_DOWNGRADE, CLOSE: RFC 8881 sections 9, 18.2, 18.16, 18.18; RFC 7530
// sections 9.9 to 9.11, 16.16.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class OpenTest : public NfsTest {
 protected:
  OpenRequest With(uint32_t access, uint32_t deny, const std::string& owner = "opener") {
    OpenRequest request;
    request.access = access;
    request.deny = deny;
    request.owner = owner;
    return request;
  }
  OpenRequest Creating(createmode4 mode) {
    OpenRequest request;
    request.create = mode;
    return request;
  }
};

TEST_P(OpenTest, CreateOpenCloseReopen) {
  auto made = client->Create(root, "f");
  ASSERT_EQ(made.status, NFS4_OK);
  EXPECT_TRUE(made->result.cinfo.atomic);
  EXPECT_NE(made->result.cinfo.before, made->result.cinfo.after);
  EXPECT_EQ(made->result.delegation.delegation_type == OPEN_DELEGATE_READ, false);
  EXPECT_EQ(client->Close(*made), NFS4_OK);
  auto again = client->Open(root, "f");
  ASSERT_EQ(again.status, NFS4_OK);
  EXPECT_EQ(again->fh, made->fh);
  EXPECT_EQ(again->result.cinfo.before, again->result.cinfo.after);
  EXPECT_EQ(client->Close(*again), NFS4_OK);
}

TEST_P(OpenTest, CreateModes) {
  Fh file = MakeFile(root, "f", "content");
  EXPECT_EQ(client->Open(root, "f", Creating(GUARDED4)).status, NFS4ERR_EXIST);
  auto unchecked = client->Open(root, "f", Creating(UNCHECKED4));
  ASSERT_EQ(unchecked.status, NFS4_OK);
  EXPECT_EQ(unchecked->fh, file);
  EXPECT_EQ(Content(file), "content");
  OpenRequest truncating = Creating(UNCHECKED4);
  truncating.attributes.size = 0;
  auto truncated = client->Open(root, "f", truncating);
  ASSERT_EQ(truncated.status, NFS4_OK);
  EXPECT_EQ(Content(file), "");
  OpenRequest exclusive = Creating(EXCLUSIVE4);
  exclusive.verifier.fill(std::byte{7});
  auto first = client->Open(root, "x", exclusive);
  ASSERT_EQ(first.status, NFS4_OK);
  auto replay = client->Open(root, "x", exclusive);
  ASSERT_EQ(replay.status, NFS4_OK) << "the same verifier is the same create";
  EXPECT_EQ(replay->fh, first->fh);
  exclusive.verifier.fill(std::byte{8});
  EXPECT_EQ(client->Open(root, "x", exclusive).status, NFS4ERR_EXIST);
  if (minor() == 0) return;
  OpenRequest with_attributes = Creating(EXCLUSIVE4_1);
  with_attributes.attributes.mode = 0612;
  auto second = client->Open(root, "y", with_attributes);
  ASSERT_EQ(second.status, NFS4_OK);
  EXPECT_EQ(client->GetAttributes(second->fh)->mode, 0612U);
}

TEST_P(OpenTest, WrongTypesAndNames) {
  ASSERT_TRUE(client->Mkdir(root, "dir").ok());
  ASSERT_TRUE(client->Symlink(root, "link", "dir").ok());
  ASSERT_TRUE(client->MakeNode(root, "fifo", NF4FIFO).ok());
  EXPECT_EQ(client->Open(root, "dir").status, NFS4ERR_ISDIR);
  EXPECT_EQ(client->Open(root, "link").status, NFS4ERR_SYMLINK);
  nfsstat4 fifo = client->Open(root, "fifo").status;
  EXPECT_TRUE(fifo == NFS4ERR_SYMLINK || fifo == NFS4ERR_WRONG_TYPE || fifo == NFS4ERR_INVAL);
  EXPECT_EQ(client->Open(root, "absent").status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Open(root, "").status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Open(root, std::string(256, 'n')).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Open(MakeFile(root, "f"), "x").status, NFS4ERR_NOTDIR);
  EXPECT_EQ(client->Open(root, "f", With(0, 0)).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, 4)).status, NFS4ERR_INVAL);
}

TEST_P(OpenTest, ModeBits) {
  MakeFile(root, "f", "", 0640);
  auto member = Another("member", {.uid = 1000, .gid = 0, .gids = {}, .none = false});
  EXPECT_EQ(member->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, 0)).status, NFS4_OK);
  EXPECT_EQ(member->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0, "w")).status, NFS4ERR_ACCESS);
  auto stranger = Another("stranger", {.uid = 1001, .gid = 9, .gids = {}, .none = false});
  EXPECT_EQ(stranger->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, 0)).status, NFS4ERR_ACCESS);
  EXPECT_EQ(stranger->Create(root, "new").status, NFS4ERR_ACCESS);
}

TEST_P(OpenTest, CreatorMayWriteAReadOnlyFileItMakes) {
  SetAttributes open;
  open.mode = 0777;
  auto directory = client->Mkdir(root, "d", open);
  auto user = Another("user", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto file = user->Create(*directory, "f", 0444);
  ASSERT_EQ(file.status, NFS4_OK);
  EXPECT_EQ(user->Write(file->fh, file->state, 0, AsOpaque("x")).status, NFS4_OK);
  EXPECT_EQ(user->Close(*file), NFS4_OK);
  EXPECT_EQ(user->Open(*directory, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0)).status, NFS4ERR_ACCESS);
}

TEST_P(OpenTest, ShareReservations) {
  MakeFile(root, "f");
  auto other = Another("other");
  auto held = client->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_WRITE));
  ASSERT_EQ(held.status, NFS4_OK);
  EXPECT_EQ(other->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0)).status, NFS4ERR_SHARE_DENIED);
  EXPECT_EQ(other->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_READ)).status,
            NFS4ERR_SHARE_DENIED);
  auto reader = other->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, 0));
  EXPECT_EQ(reader.status, NFS4_OK);
  EXPECT_EQ(client->Close(*held), NFS4_OK);
  EXPECT_EQ(other->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0)).status, NFS4_OK);
}

TEST_P(OpenTest, UpgradeAndDowngrade) {
  MakeFile(root, "f");
  auto file = client->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, 0));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("x")).status, NFS4ERR_OPENMODE);
  auto upgraded = client->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0));
  ASSERT_TRUE(upgraded.ok());
  EXPECT_EQ(upgraded->state.other, file->state.other) << "one owner and file: one state";
  EXPECT_GT(upgraded->state.seqid, file->state.seqid);
  EXPECT_EQ(client->Write(file->fh, upgraded->state, 0, AsOpaque("x")).status, NFS4_OK);
  EXPECT_EQ(client->Read(file->fh, upgraded->state, 0, 1).status, NFS4_OK);
  EXPECT_EQ(client->Downgrade(*upgraded, OPEN4_SHARE_ACCESS_READ, 0), NFS4_OK);
  EXPECT_EQ(client->Write(file->fh, upgraded->state, 0, AsOpaque("x")).status, NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Downgrade(*upgraded, OPEN4_SHARE_ACCESS_BOTH, 0), NFS4ERR_INVAL);
  EXPECT_EQ(client->Close(*upgraded), NFS4_OK);
}

// RFC 7530 section 9.1.6, RFC 8881 section 9.1.2: a client that writes whole pages reads them
// first.
TEST_P(OpenTest, ReadOfAnOpenForWriting) {
  Fh fh = MakeFile(root, "f", "text", 0666);
  auto writer = client->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0));
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(AsText(client->Read(fh, writer->state, 0, 9)->data), "text");
  auto read_plus = [&] { return client->ReadPlus(fh, writer->state, 0, 9).status; };
  bool has_read_plus = minor() >= 2;
  EXPECT_TRUE(!has_read_plus || read_plus() == NFS4_OK);
  auto other = Another("other");
  auto denies = other->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, OPEN4_SHARE_DENY_READ));
  ASSERT_TRUE(denies.ok());
  EXPECT_EQ(client->Read(fh, writer->state, 0, 9).status, NFS4ERR_OPENMODE);
  EXPECT_TRUE(!has_read_plus || read_plus() == NFS4ERR_OPENMODE);
  EXPECT_EQ(other->Close(*denies), NFS4_OK);
  auto user = Another("user", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto only_writes = user->Open(root, "f", With(OPEN4_SHARE_ACCESS_WRITE, 0));
  ASSERT_TRUE(only_writes.ok());
  SetAttributes mode;
  mode.mode = 0222;
  ASSERT_EQ(client->SetAttributesOf(fh, mode), NFS4_OK);
  EXPECT_EQ(user->Read(fh, only_writes->state, 0, 9).status, NFS4ERR_ACCESS);
}

// RFC 7530 section 9.1.4, RFC 8881 section 8.2: a stateid is no proof of a right.
TEST_P(OpenTest, AnotherUserGetsNothingByAStateid) {
  auto file = client->Create(root, "f", 0600);
  ASSERT_TRUE(file.ok());
  client->SetIdentity({.uid = 3912, .gid = 2422, .gids = {}, .none = false});
  EXPECT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("x")).status, NFS4ERR_ACCESS);
  EXPECT_EQ(client->Read(file->fh, file->state, 0, 1).status, NFS4ERR_ACCESS);
  client->SetIdentity({});
  EXPECT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("x")).status, NFS4_OK);
}

// Its verifier can be guessed: a client makes it of a clock and a process id.
TEST_P(OpenTest, NobodyButItsMakerRepeatsAnExclusiveCreate) {
  Fh directory = *client->Mkdir(root, "d");
  SetAttributes mode;
  mode.mode = 0777;
  ASSERT_EQ(client->SetAttributesOf(directory, mode), NFS4_OK);
  auto maker = Another("maker", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto other = Another("other", {.uid = 1001, .gid = 1000, .gids = {}, .none = false});
  OpenRequest exclusive = Creating(EXCLUSIVE4);
  exclusive.verifier.fill(std::byte{7});
  auto made = maker->Open(directory, "f", exclusive);
  ASSERT_EQ(made.status, NFS4_OK);
  EXPECT_EQ(other->Open(directory, "f", exclusive).status, NFS4ERR_EXIST);
  EXPECT_EQ(maker->Open(directory, "f", exclusive).status, NFS4_OK);
}

TEST_P(OpenTest, AnOpenForReadingGivesNoOtherUsersWriting) {
  auto file = client->Open(root, "f", Creating(UNCHECKED4));
  ASSERT_TRUE(file.ok());
  SetAttributes mode;
  mode.mode = 0644;
  ASSERT_EQ(client->SetAttributesOf(file->fh, mode), NFS4_OK);
  ASSERT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("mine")).status, NFS4_OK);
  client->SetIdentity({.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto read = client->Open(root, "f", With(OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_DENY_NONE));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->state.other, file->state.other) << "of one owner, so one open";
  EXPECT_EQ(AsText(client->Read(read->fh, read->state, 0, 4)->data), "mine");
  EXPECT_EQ(client->Write(read->fh, read->state, 0, AsOpaque("x")).status, NFS4ERR_ACCESS);
}

// What mode bits say later does not matter to who has the file open.
TEST_P(OpenTest, ItsUserKeepsWhatAnOpenAllowed) {
  MakeFile(root, "f", "text", 0666);
  auto user = Another("user", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto file = user->Open(root, "f");
  ASSERT_TRUE(file.ok());
  SetAttributes mode;
  mode.mode = 0;
  ASSERT_EQ(client->SetAttributesOf(file->fh, mode), NFS4_OK);
  EXPECT_EQ(user->Write(file->fh, file->state, 0, AsOpaque("more")).status, NFS4_OK);
  EXPECT_EQ(AsText(user->Read(file->fh, file->state, 0, 9)->data), "more");
}

TEST_P(OpenTest, StateidErrors) {
  auto file = client->Create(root, "f");
  auto second = client->Create(root, "g");
  stateid4 old = file->state;
  auto again = client->Open(root, "f");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(client->Read(file->fh, old, 0, 1).status, NFS4ERR_OLD_STATEID);
  stateid4 future = again->state;
  future.seqid += 5;
  EXPECT_EQ(client->Read(file->fh, future, 0, 1).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->Read(file->fh, second->state, 0, 1).status, NFS4ERR_BAD_STATEID)
      << "of another file";
  stateid4 invented{.seqid = 1, .other = {}};
  invented.other.fill(std::byte{0x5a});
  nfsstat4 status = client->Read(file->fh, invented, 0, 1).status;
  EXPECT_TRUE(status == NFS4ERR_BAD_STATEID || status == NFS4ERR_STALE_STATEID);
  if (minor() > 0) {
    stateid4 any = again->state;
    any.seqid = 0;  // RFC 8881 section 8.2.2: the current one, whatever it is
    EXPECT_EQ(client->Read(file->fh, any, 0, 1).status, NFS4_OK);
    auto thief = Another("thief");
    EXPECT_EQ(thief->Read(file->fh, again->state, 0, 1).status, NFS4ERR_BAD_STATEID);
  }
  EXPECT_EQ(client->Close(*again), NFS4_OK);
  EXPECT_EQ(client->Read(file->fh, again->state, 0, 1).status, NFS4ERR_BAD_STATEID);
  OpenFile closed = *again;
  EXPECT_EQ(client->Close(closed), NFS4ERR_BAD_STATEID);
}

TEST_P(OpenTest, OpenUnlinkedFileLivesUntilClose) {
  auto file = client->Create(root, "f");
  ASSERT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("still here")).status, NFS4_OK);
  ASSERT_EQ(client->Remove(root, "f"), NFS4_OK);
  EXPECT_EQ(client->Lookup(root, "f").status, NFS4ERR_NOENT);
  EXPECT_EQ(AsText(client->Read(file->fh, file->state, 0, 100)->data), "still here");
  EXPECT_EQ(client->Write(file->fh, file->state, 10, AsOpaque("!")).status, NFS4_OK);
  auto attributes = client->GetAttributes(file->fh);
  EXPECT_EQ(attributes->numlinks, 0U);
  EXPECT_EQ(attributes->size, 11U);
  EXPECT_EQ(client->Close(*file), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file->fh).status, NFS4ERR_STALE);
}

TEST_P(OpenTest, ReplacedByRenameLivesUntilClose) {
  auto file = client->Create(root, "f");
  ASSERT_EQ(client->Write(file->fh, file->state, 0, AsOpaque("old")).status, NFS4_OK);
  MakeFile(root, "g", "new");
  ASSERT_EQ(client->Rename(root, "g", root, "f"), NFS4_OK);
  EXPECT_EQ(AsText(client->Read(file->fh, file->state, 0, 100)->data), "old");
  EXPECT_EQ(client->Close(*file), NFS4_OK);
}

TEST_P(OpenTest, UnsupportedClaims) {
  MakeFile(root, "f");
  open_claim4 claim;
  claim.claim = CLAIM_DELEGATE_CUR;
  claim.delegate_cur_info = {.delegate_stateid = {}, .file = "f"};
  EXPECT_NE(client->OpenClaim(root, claim, {}).status, NFS4_OK);
  claim = {};
  claim.claim = CLAIM_PREVIOUS;
  EXPECT_EQ(client->OpenClaim(*client->Lookup(root, "f"), claim, {}).status, NFS4ERR_NO_GRACE);
}

TEST_P(OpenTest, SameOwnerNameOfTwoClientsIsTwoOwners) {
  auto other = Another("other");
  auto mine = client->Create(root, "f");
  auto theirs = other->Open(root, "f");
  ASSERT_TRUE(mine.ok() && theirs.ok());
  EXPECT_NE(mine->state.other, theirs->state.other);
  EXPECT_EQ(client->Close(*mine), NFS4_OK);
  EXPECT_EQ(other->Read(theirs->fh, theirs->state, 0, 1).status, NFS4_OK);
}

NFS_SUITE(OpenTest, EverySetting());

class Open41Test : public Nfs41Test {};

TEST_P(Open41Test, ByFileHandle) {
  Fh file = MakeFile(root, "f", "by handle");
  open_claim4 claim;
  claim.claim = CLAIM_FH;
  auto opened = client->OpenClaim(file, claim, {});
  ASSERT_EQ(opened.status, NFS4_OK);
  EXPECT_EQ(AsText(client->Read(file, opened->state, 0, 100)->data), "by handle");
  EXPECT_EQ(client->OpenClaim(root, claim, {}).status, NFS4ERR_ISDIR);
}

TEST_P(Open41Test, CurrentStateidInOneCompound) {
  Bytes data(100, std::byte{'d'});
  OPEN4args open{.seqid = 0,
                 .share_access = OPEN4_SHARE_ACCESS_BOTH,
                 .share_deny = 0,
                 .owner = {.clientid = 0, .owner = AsOpaque("one compound")},
                 .openhow = {.opentype = OPEN4_CREATE, .how = {}},
                 .claim = {}};
  open.claim.file = "f";
  Compound compound;
  compound.Root()
      .Add(OP_OPEN, open)
      .Add(OP_WRITE, WRITE4args{.stateid = nfs_client::CurrentState(),
                                .offset = 0,
                                .stable = UNSTABLE4,
                                .data = data})
      .Add(OP_COMMIT, COMMIT4args{})
      .Add(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = nfs_client::CurrentState()})
      .GetAttr({FATTR4_SIZE});
  CompoundReply reply = client->Run(compound);
  ASSERT_EQ(reply.status, NFS4_OK);
  Attributes attributes;
  ASSERT_TRUE(nfs_client::Parse(reply.Get<GETATTR4res>(5).resok4.obj_attributes, attributes));
  EXPECT_EQ(attributes.size, 100U);
  Compound none;
  none.Root().Add(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = nfs_client::CurrentState()});
  EXPECT_EQ(client->Run(none).status, NFS4ERR_BAD_STATEID);
}

TEST_P(Open41Test, TestAndFreeStateid) {
  auto file = client->Create(root, "f");
  stateid4 invented{.seqid = 1, .other = {}};
  invented.other.fill(std::byte{1});
  Compound test;
  test.Add(OP_TEST_STATEID, TEST_STATEID4args{.ts_stateids = {file->state, invented}});
  CompoundReply reply = client->Run(test);
  ASSERT_EQ(reply.status, NFS4_OK);
  const auto& codes = reply.Get<TEST_STATEID4res>(0).tsr_resok4.tsr_status_codes;
  ASSERT_EQ(codes.size(), 2U);
  EXPECT_EQ(codes[0], NFS4_OK);
  EXPECT_EQ(codes[1], NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->FreeState(file->state), NFS4ERR_LOCKS_HELD);
  EXPECT_EQ(client->FreeState(invented), NFS4ERR_BAD_STATEID);
}

NFS_SUITE(Open41Test, Settings41());

}  // namespace
}  // namespace tarn::nfs_test
