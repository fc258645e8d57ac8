// READ, WRITE, COMMIT: RFC 8881 sections 18.3, 18.22, 18.32.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class IoTest : public NfsTest {
 protected:
  IoTest() {
    auto made = client->Create(root, "io");
    EXPECT_EQ(made.status, NFS4_OK);
    file = *made;
  }
  Bytes Pattern(size_t size, unsigned seed = 1) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * seed + i / 253);
    return bytes;
  }
  OpenFile file;
};

TEST_P(IoTest, WriteAndReadOfEverySize) {
  for (size_t size : {1U, 511U, 4095U, 4096U, 4097U, 65'536U, 1'000'000U, 1U << 20}) {
    Bytes data = Pattern(size, static_cast<unsigned>(size));
    auto written = client->Write(file.fh, file.state, 0, data);
    ASSERT_EQ(written.status, NFS4_OK) << size;
    ASSERT_EQ(written->count, size);
    EXPECT_EQ(written->committed, FILE_SYNC4);
    auto read = client->Read(file.fh, file.state, 0, static_cast<uint32_t>(size));
    ASSERT_EQ(read.status, NFS4_OK);
    EXPECT_EQ(read->data, data);
  }
}

TEST_P(IoTest, EndOfFile) {
  ASSERT_EQ(client->Write(file.fh, file.state, 0, AsOpaque("0123456789")).status, NFS4_OK);
  auto part = client->Read(file.fh, file.state, 0, 5);
  EXPECT_EQ(AsText(part->data), "01234");
  EXPECT_FALSE(part->end);
  auto rest = client->Read(file.fh, file.state, 5, 100);
  EXPECT_EQ(AsText(rest->data), "56789");
  EXPECT_TRUE(rest->end);
  auto exact = client->Read(file.fh, file.state, 5, 5);
  EXPECT_TRUE(exact->end);
  auto beyond = client->Read(file.fh, file.state, 1000, 5);
  ASSERT_EQ(beyond.status, NFS4_OK);
  EXPECT_TRUE(beyond->data.empty());
  EXPECT_TRUE(beyond->end);
  auto nothing = client->Read(file.fh, file.state, 0, 0);
  ASSERT_EQ(nothing.status, NFS4_OK);
  EXPECT_TRUE(nothing->data.empty());
}

TEST_P(IoTest, HolesReadAsZero) {
  constexpr uint64_t kFar = uint64_t{4} << 30;
  ASSERT_EQ(client->Write(file.fh, file.state, kFar, AsOpaque("end")).status, NFS4_OK);
  auto attributes = client->GetAttributes(file.fh);
  EXPECT_EQ(attributes->size, kFar + 3);
  EXPECT_LT(attributes->space_used, 64U << 20) << "a hole costs nothing";
  auto hole = client->Read(file.fh, file.state, 1 << 20, 4096);
  EXPECT_EQ(hole->data, Bytes(4096));
  EXPECT_EQ(AsText(client->Read(file.fh, file.state, kFar, 10)->data), "end");
}

TEST_P(IoTest, UnstableThenCommit) {
  auto written = client->Write(file.fh, file.state, 0, AsOpaque("unstable"), UNSTABLE4);
  ASSERT_EQ(written.status, NFS4_OK);
  auto committed = client->Commit(file.fh);
  ASSERT_EQ(committed.status, NFS4_OK);
  EXPECT_EQ(*committed, written->verifier);
  world.Restart();
  auto again = world.Mount(minor());
  auto read = again->GetAttributes(file.fh);
  EXPECT_EQ(read->size, 8U) << "what was committed is there";
  auto verifier = again->Commit(file.fh);
  EXPECT_NE(*verifier, written->verifier) << "a restart changes the verifier";
}

TEST_P(IoTest, SpecialStateids) {
  ASSERT_EQ(client->Write(file.fh, file.state, 0, AsOpaque("x")).status, NFS4_OK);
  for (const stateid4& state : {nfs_client::AnonymousState(), nfs_client::BypassState()}) {
    EXPECT_EQ(client->Read(file.fh, state, 0, 1).status, NFS4_OK);
  }
  EXPECT_EQ(client->Write(file.fh, nfs_client::AnonymousState(), 1, AsOpaque("y")).status, NFS4_OK);
  auto stranger = Another("stranger", {.uid = 1001, .gid = 9, .gids = {}, .none = false});
  EXPECT_EQ(stranger->Write(file.fh, nfs_client::AnonymousState(), 0, AsOpaque("z")).status,
            NFS4ERR_ACCESS);
}

// A client without open state made a file with mode 0444, or changed the mode after it opened it.
TEST_P(IoTest, AnIoOfTheOwnerWithoutOpenIsAllowedByAnyMode) {
  SetAttributes closed;
  closed.mode = 0;
  SetAttributes cut;
  cut.size = 2;
  ASSERT_EQ(client->SetAttributesOf(file.fh, closed), NFS4_OK);
  EXPECT_EQ(client->Write(file.fh, nfs_client::AnonymousState(), 0, AsOpaque("mine")).status,
            NFS4_OK);
  auto read = client->Read(file.fh, nfs_client::AnonymousState(), 0, 4);
  ASSERT_EQ(read.status, NFS4_OK);
  EXPECT_EQ(AsText(read->data), "mine");
  EXPECT_EQ(client->SetAttributesOf(file.fh, cut), NFS4_OK);
  auto stranger = Another("stranger", {.uid = 1001, .gid = 9, .gids = {}, .none = false});
  EXPECT_EQ(stranger->Read(file.fh, nfs_client::AnonymousState(), 0, 1).status, NFS4ERR_ACCESS);
  EXPECT_EQ(stranger->SetAttributesOf(file.fh, cut), NFS4ERR_ACCESS);
}

TEST_P(IoTest, AnonymousIoMeetsShareReservations) {
  EXPECT_EQ(client->Close(file), NFS4_OK);
  OpenRequest denying;
  denying.deny = OPEN4_SHARE_DENY_BOTH;
  auto held = client->Open(root, "io", denying);
  ASSERT_EQ(held.status, NFS4_OK);
  auto other = Another("other");
  EXPECT_EQ(other->Read(file.fh, nfs_client::AnonymousState(), 0, 1).status, NFS4ERR_LOCKED);
  EXPECT_EQ(other->Write(file.fh, nfs_client::AnonymousState(), 0, AsOpaque("x")).status,
            NFS4ERR_LOCKED);
}

TEST_P(IoTest, WrongTypes) {
  EXPECT_EQ(client->Read(root, {}, 0, 1).status, NFS4ERR_ISDIR);
  EXPECT_EQ(client->Write(root, {}, 0, AsOpaque("x")).status, NFS4ERR_ISDIR);
  EXPECT_EQ(client->Commit(root).status, NFS4ERR_ISDIR);
  auto link = client->Symlink(root, "l", "t");
  nfsstat4 no_link = minor() == 0 ? NFS4ERR_INVAL : NFS4ERR_SYMLINK;
  EXPECT_EQ(client->Read(*link, {}, 0, 1).status, no_link);
  EXPECT_EQ(client->Write(*link, {}, 0, AsOpaque("x")).status, no_link);
  EXPECT_EQ(client->Commit(*link).status, no_link);
  auto fifo = client->MakeNode(root, "fifo", NF4FIFO);
  nfsstat4 no_file = minor() == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
  EXPECT_EQ(client->Read(*fifo, {}, 0, 1).status, no_file);
  EXPECT_EQ(client->Write(*fifo, {}, 0, AsOpaque("x")).status, no_file);
  EXPECT_EQ(client->Commit(*fifo).status, no_file);
}

TEST_P(IoTest, OffsetsAtTheEnd) {
  nfsstat4 far = client->Write(file.fh, file.state, UINT64_MAX - 10, AsOpaque("too far")).status;
  EXPECT_TRUE(far == NFS4ERR_FBIG || far == NFS4ERR_INVAL);
  nfsstat4 limit = client->Write(file.fh, file.state, vfs::kFileBytesMax, AsOpaque("x")).status;
  EXPECT_EQ(limit, NFS4ERR_FBIG);
  EXPECT_EQ(client->Read(file.fh, file.state, UINT64_MAX, 10).status == kNoAnswer, false);
  EXPECT_EQ(client->GetAttributes(file.fh)->size, 0U);
}

TEST_P(IoTest, WriteOfNothingAndOfTooMuch) {
  auto nothing = client->Write(file.fh, file.state, 0, {});
  EXPECT_EQ(nothing.status, NFS4_OK);
  EXPECT_EQ(nothing->count, 0U);
  Compound lying;  // says a megabyte, sends four bytes
  lying.Put(file.fh).Add(OP_WRITE);
  Encode(lying.raw(), file.state);
  lying.raw().Put(uint64_t{0});
  Encode(lying.raw(), FILE_SYNC4);
  lying.raw().Put(uint32_t{1 << 20});
  lying.raw().Put(uint32_t{0});
  EXPECT_EQ(client->Run(lying).status, NFS4ERR_BADXDR);
  EXPECT_EQ(client->GetAttributes(file.fh)->size, 0U);
}

TEST_P(IoTest, ReadMayBeShortButNeverMoreThanTheSessionAllows) {
  Bytes data = Pattern(1 << 20);
  ASSERT_EQ(client->Write(file.fh, file.state, 0, data).status, NFS4_OK);
  auto read = client->Read(file.fh, file.state, 0, 0xffffffff);
  if (minor() > 0 && read.status == NFS4ERR_REP_TOO_BIG) return;
  ASSERT_EQ(read.status, NFS4_OK);
  EXPECT_LE(read->data.size(), data.size());
  EXPECT_GT(read->data.size(), 0U);
}

TEST_P(IoTest, TimesAndSetuidAfterAWrite) {
  SetAttributes mode;
  mode.mode = 06777;
  ASSERT_EQ(client->SetAttributesOf(file.fh, mode), NFS4_OK);
  auto before = client->GetAttributes(file.fh);
  world.Advance(std::chrono::seconds(1));
  auto user = Another("user", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  auto opened = user->Open(root, "io");
  ASSERT_TRUE(opened.ok());
  ASSERT_EQ(user->Write(opened->fh, opened->state, 0, AsOpaque("x")).status, NFS4_OK);
  auto after = client->GetAttributes(file.fh);
  EXPECT_EQ(after->mode & 06000, 0U);
  EXPECT_GT(after->time_modify.seconds, before->time_modify.seconds);
  EXPECT_GT(after->change, before->change);
}

NFS_SUITE(IoTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
