// Access points: their root cannot be left, their user replaces the caller's, their quota holds
// (EFS user guide, "Working with access points"; exports.h).
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr vfs::CreationInfo kOpenRoot{.owner_uid = 0, .owner_gid = 0, .permissions = 0777};

class AccessPointTest : public NfsTest {
 protected:
  Fh Enter(Client& c, const AccessPoint& point) {
    auto entered = c.Walk(point.name);
    EXPECT_EQ(entered.status, NFS4_OK);
    return entered.value;
  }
};

TEST_P(AccessPointTest, IsItsOwnRoot) {
  auto outside = client->Mkdir(root, "outside");
  ASSERT_TRUE(outside.ok());
  AccessPoint point = world.AddAccessPoint("/apps/one", kOpenRoot);
  Fh inside = Enter(*client, point);
  EXPECT_EQ(client->LookupParent(inside).status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Lookup(inside, "outside").status, NFS4ERR_NOENT);
  EXPECT_TRUE(Names(inside).empty());
  auto deep = client->Mkdir(inside, "deep");
  ASSERT_TRUE(deep.ok());
  EXPECT_EQ(*client->LookupParent(*deep), inside);
  auto attributes = client->GetAttributes(inside);
  auto outer = client->GetAttributes(root);
  EXPECT_FALSE(attributes->fsid.major == outer->fsid.major &&
               attributes->fsid.minor == outer->fsid.minor)
      << "a file system of its own to clients";
  EXPECT_EQ(attributes->mode & 07777, 0777U);
  EXPECT_EQ(client->Walk("apps/one/deep").status, NFS4_OK) << "the file system sees it as a path";
  EXPECT_NE(*client->Walk("apps/one"), inside);
}

TEST_P(AccessPointTest, NamesAreEnteredAtTheRootOnly) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  Fh inside = Enter(*client, point);
  EXPECT_EQ(client->Lookup(inside, point.name).status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Walk("ap/" + point.name).status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Walk("fsap-00000000000000abc").status, NFS4ERR_NOENT);
}

TEST_P(AccessPointTest, SymlinksAreOnlyText) {
  ASSERT_TRUE(client->Mkdir(root, "secret").ok());
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  Fh inside = Enter(*client, point);
  auto link = client->Symlink(inside, "out", "../../secret");
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(*client->Readlink(*link), "../../secret");
  EXPECT_EQ(client->Lookup(*link, "x").status, NFS4ERR_SYMLINK);
}

TEST_P(AccessPointTest, HandlesAreNoWayOut) {
  Fh secret = MakeFile(root, "secret", "outside");
  AccessPoint one = world.AddAccessPoint("/one", kOpenRoot);
  AccessPoint two = world.AddAccessPoint("/two", kOpenRoot);
  Fh in_one = Enter(*client, one);
  Fh in_two = Enter(*client, two);
  Fh sibling = MakeFile(in_two, "sibling", "of another");
  // Every splice of a good handle of one into that of the other: the checksum gives it away.
  for (const Fh& other : {secret, sibling}) {
    ASSERT_EQ(other.size(), in_one.size());
    for (size_t cut = 1; cut < other.size(); ++cut) {
      Fh forged(in_one.begin(), in_one.begin() + static_cast<ptrdiff_t>(cut));
      forged.insert(forged.end(), other.begin() + static_cast<ptrdiff_t>(cut), other.end());
      if (forged == other || forged == in_one) continue;
      nfsstat4 status = client->GetAttributes(forged).status;
      EXPECT_TRUE(status == NFS4ERR_BADHANDLE || status == NFS4ERR_STALE) << cut;
    }
  }
}

TEST_P(AccessPointTest, NoRenameOrLinkAcrossTheBorder) {
  AccessPoint one = world.AddAccessPoint("/one", kOpenRoot);
  AccessPoint two = world.AddAccessPoint("/two", kOpenRoot);
  Fh in_one = Enter(*client, one);
  Fh in_two = Enter(*client, two);
  Fh file = MakeFile(in_one, "f", "one's");
  EXPECT_EQ(client->Rename(in_one, "f", in_two, "f"), NFS4ERR_XDEV);
  EXPECT_EQ(client->Link(file, in_two, "f"), NFS4ERR_XDEV);
  EXPECT_EQ(client->Rename(in_one, "f", root, "f"), NFS4ERR_XDEV);
  EXPECT_TRUE(Names(in_two).empty());
  EXPECT_EQ(Content(file), "one's");
}

TEST_P(AccessPointTest, MovedOutOfTheRealmIsStaleInside) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  Fh inside = Enter(*client, point);
  Fh file = MakeFile(inside, "f", "x");
  // The realm's border keeps it in: the file system's own root cannot pull it out either.
  auto plain = client->Walk("ap");
  EXPECT_EQ(client->Rename(*plain, "f", root, "f"), NFS4ERR_XDEV);
  EXPECT_EQ(client->Remove(*plain, "f"), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(file).status, NFS4ERR_STALE);
}

TEST_P(AccessPointTest, ItsUserReplacesTheCallers) {
  AccessPoint point =
      world.AddAccessPoint("/users", {.owner_uid = 1234, .owner_gid = 5678, .permissions = 0750},
                           PosixUser{.uid = 1234, .gid = 5678, .gids = {9}});
  Fh inside = Enter(*client, point);
  Fh made = MakeFile(inside, "f", "x");
  auto attributes = client->GetAttributes(made);
  EXPECT_EQ(attributes->owner, "1234");
  EXPECT_EQ(attributes->owner_group, "5678");
  auto stranger = Another("stranger", {.uid = 42, .gid = 42, .gids = {}, .none = false});
  EXPECT_EQ(stranger->Create(inside, "g").status, NFS4_OK) << "whoever calls, it is 1234";
  SetAttributes give;
  give.owner = "0";
  EXPECT_EQ(client->SetAttributesOf(made, give), NFS4ERR_PERM) << "root is replaced too";
  auto link = client->Mkdir(inside, "dir");
  EXPECT_EQ(client->GetAttributes(*link)->owner, "1234");
}

TEST_P(AccessPointTest, ReadOnly) {
  AccessPoint writable = world.AddAccessPoint("/data", kOpenRoot);
  MakeFile(Enter(*client, writable), "f", "content");
  AccessPoint point = world.AddAccessPoint("/data", kOpenRoot, {}, true);
  Fh inside = Enter(*client, point);
  auto file = client->Lookup(inside, "f");
  EXPECT_EQ(Content(*file), "content");
  EXPECT_EQ(client->Mkdir(inside, "d").status, NFS4ERR_ROFS);
  EXPECT_EQ(client->Remove(inside, "f"), NFS4ERR_ROFS);
  EXPECT_EQ(client->Rename(inside, "f", inside, "g"), NFS4ERR_ROFS);
  EXPECT_EQ(client->Open(inside, "f").status, NFS4ERR_ROFS);
  SetAttributes mode;
  mode.mode = 0777;
  EXPECT_EQ(client->SetAttributesOf(*file, mode), NFS4ERR_ROFS);
  OpenRequest reading;
  reading.access = OPEN4_SHARE_ACCESS_READ;
  EXPECT_EQ(client->Open(inside, "f", reading).status, NFS4_OK);
  EXPECT_EQ(*client->Access(inside) & (ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE), 0U);
}

TEST_P(AccessPointTest, DeletedAccessPointIsStale) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  Fh inside = Enter(*client, point);
  Fh file = MakeFile(inside, "f", "x");
  auto opened = client->Open(inside, "f");
  ASSERT_TRUE(opened.ok());
  world.RemoveAccessPoint(point);
  EXPECT_EQ(client->Walk(point.name).status, NFS4ERR_NOENT);
  EXPECT_EQ(client->GetAttributes(inside).status, NFS4ERR_STALE);
  EXPECT_EQ(client->Read(file, opened->state, 0, 1).status, NFS4ERR_STALE);
  EXPECT_EQ(client->Root().status, NFS4_OK);
}

TEST_P(AccessPointTest, QuotaOfBytes) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  constexpr uint64_t kQuota = 4 << 20;
  world.SetQuota(point, {.bytes_max = kQuota, .files_max = 0});
  Fh inside = Enter(*client, point);
  auto file = client->Create(inside, "f");
  ASSERT_TRUE(file.ok());
  Bytes megabyte(1 << 20, std::byte{1});
  nfsstat4 status = NFS4_OK;
  uint64_t offset = 0;
  for (; status == NFS4_OK && offset < 2 * kQuota; offset += megabyte.size()) {
    status = client->Write(file->fh, file->state, offset, megabyte).status;
  }
  EXPECT_EQ(status, NFS4ERR_DQUOT);
  auto space = client->GetAttributes(
      inside, {FATTR4_SPACE_TOTAL, FATTR4_SPACE_AVAIL, FATTR4_SPACE_FREE, FATTR4_QUOTA_USED});
  ASSERT_TRUE(space.ok());
  EXPECT_EQ(space->space_total, kQuota) << "the size of the access point is its quota";
  EXPECT_LE(space->space_avail, 1U << 20);
  auto outer = client->GetAttributes(root, {FATTR4_SPACE_TOTAL});
  EXPECT_NE(outer->space_total, kQuota);
  SetAttributes empty;
  empty.size = 0;
  EXPECT_EQ(client->SetAttributesOf(file->fh, empty, file->state), NFS4_OK);
  EXPECT_EQ(client->Write(file->fh, file->state, 0, megabyte).status, NFS4_OK);
  EXPECT_EQ(client->Close(*file), NFS4_OK);
}

TEST_P(AccessPointTest, QuotaOfFiles) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  world.SetQuota(point, {.bytes_max = 0, .files_max = 5});
  Fh inside = Enter(*client, point);
  nfsstat4 status = NFS4_OK;
  int made = 0;
  while (status == NFS4_OK && made < 20) {
    status = client->Mkdir(inside, "d" + std::to_string(made)).status;
    if (status == NFS4_OK) ++made;
  }
  EXPECT_EQ(status, NFS4ERR_DQUOT);
  EXPECT_EQ(client->Create(inside, "f").status, NFS4ERR_DQUOT);
  auto files = client->GetAttributes(inside, {FATTR4_FILES_TOTAL, FATTR4_FILES_FREE});
  EXPECT_EQ(files->files_total, 5U);
  EXPECT_EQ(files->files_free, 0U);
  EXPECT_EQ(client->Remove(inside, "d0"), NFS4_OK);
  EXPECT_EQ(client->Mkdir(inside, "again").status, NFS4_OK);
}

TEST_P(AccessPointTest, HandlesSurviveARestart) {
  AccessPoint point = world.AddAccessPoint("/ap", kOpenRoot);
  Fh inside = Enter(*client, point);
  Fh file = MakeFile(inside, "f", "x");
  world.Restart();
  auto back = world.Mount(minor());
  EXPECT_EQ(back->GetAttributes(file).status, NFS4_OK);
  EXPECT_EQ(*back->Walk(point.name), inside);
}

NFS_SUITE(AccessPointTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
