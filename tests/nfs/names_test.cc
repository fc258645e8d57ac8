// LOOKUP, LOOKUPP, CREATE, REMOVE, RENAME, LINK, READLINK: RFC 8881 sections 18.4, 18.9, 18.13,
// 18.14, 18.24 to 18.26.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class NamesTest : public NfsTest {};

TEST_P(NamesTest, LookupErrors) {
  Fh file = MakeFile(root, "file");
  auto link = client->Symlink(root, "link", "file");
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(client->Lookup(root, "absent").status, NFS4ERR_NOENT);
  EXPECT_EQ(client->Lookup(file, "x").status, NFS4ERR_NOTDIR);
  EXPECT_EQ(client->Lookup(*link, "x").status, NFS4ERR_SYMLINK);
  EXPECT_EQ(client->Lookup(root, "").status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Lookup(root, std::string(256, 'n')).status, NFS4ERR_NAMETOOLONG);
  using namespace std::string_view_literals;
  for (std::string_view bad : {"."sv, ".."sv, "a/b"sv, "a\0b"sv}) {
    nfsstat4 status = client->Lookup(root, bad).status;
    EXPECT_TRUE(status == NFS4ERR_BADNAME || status == NFS4ERR_BADCHAR || status == NFS4ERR_INVAL)
        << bad;
  }
}

TEST_P(NamesTest, LookupParentGoesUpAndStopsAtTheRoot) {
  auto a = client->Mkdir(root, "a");
  auto b = client->Mkdir(*a, "b");
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(*client->LookupParent(*b), *a);
  EXPECT_EQ(*client->LookupParent(*a), root);
  EXPECT_EQ(client->LookupParent(root).status, NFS4ERR_NOENT);
  EXPECT_EQ(client->LookupParent(MakeFile(root, "f")).status, NFS4ERR_NOTDIR);
  EXPECT_EQ(*client->Walk("a/b"), *b);
}

TEST_P(NamesTest, SearchNeedsTheExecuteBit) {
  SetAttributes closed;
  closed.mode = 0700;
  auto secret = client->Mkdir(root, "secret", closed);
  ASSERT_TRUE(secret.ok());
  MakeFile(*secret, "f");
  auto other = Another("other", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  EXPECT_EQ(other->Lookup(*secret, "f").status, NFS4ERR_ACCESS);
  EXPECT_EQ(other->Walk("secret/f").status, NFS4ERR_ACCESS);
  EXPECT_EQ(client->Walk("secret/f").status, NFS4_OK);
}

TEST_P(NamesTest, CreateEveryType) {
  EXPECT_TRUE(client->Mkdir(root, "dir").ok());
  EXPECT_EQ(client->Mkdir(root, "dir").status, NFS4ERR_EXIST);
  EXPECT_TRUE(client->MakeNode(root, "fifo", NF4FIFO).ok());
  EXPECT_TRUE(client->MakeNode(root, "sock", NF4SOCK).ok());
  EXPECT_EQ(client->GetAttributes(*client->Lookup(root, "fifo"))->type, NF4FIFO);
  EXPECT_EQ(client->GetAttributes(*client->Lookup(root, "sock"))->type, NF4SOCK);
  EXPECT_EQ(client->GetAttributes(*client->Lookup(root, "dir"))->type, NF4DIR);
  EXPECT_EQ(client->MakeNode(root, "reg", NF4REG).status, NFS4ERR_BADTYPE);
  EXPECT_EQ(client->Mkdir(root, "").status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Mkdir(root, std::string(256, 'n')).status, NFS4ERR_NAMETOOLONG);
  EXPECT_TRUE(client->Mkdir(root, std::string(255, 'n')).ok());
  EXPECT_EQ(client->Mkdir(MakeFile(root, "f"), "x").status, NFS4ERR_NOTDIR);
}

// RFC 8881 sections 3.3.12 (specdata4) and 5.8.2.26 (rawdev).
TEST_P(NamesTest, DeviceNodesKeepTheirNumberAndAreNothingToReadOrOpen) {
  nfsstat4 no_file = minor() == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
  for (nfs_ftype4 type : {NF4BLK, NF4CHR}) {
    std::string name = type == NF4BLK ? "block" : "character";
    auto made = client->MakeNode(root, name, type, {.specdata1 = 259, .specdata2 = 0x12345});
    ASSERT_TRUE(made.ok()) << Name(made.status);
    auto attributes = client->GetAttributes(*made, {FATTR4_TYPE, FATTR4_SIZE, FATTR4_RAWDEV});
    EXPECT_EQ(attributes->type, type);
    EXPECT_EQ(attributes->rawdev.specdata1, 259U);
    EXPECT_EQ(attributes->rawdev.specdata2, 0x12345U);
    EXPECT_EQ(attributes->size, 0U);
    EXPECT_EQ(client->Read(*made, {}, 0, 10).status, no_file);
    EXPECT_EQ(client->Write(*made, {}, 0, AsOpaque("x")).status, no_file);
    EXPECT_EQ(client->Commit(*made).status, no_file);
    nfsstat4 no_open = minor() == 0 ? NFS4ERR_SYMLINK : NFS4ERR_WRONG_TYPE;
    EXPECT_EQ(client->Open(root, name).status, no_open);
    SetAttributes mode;
    mode.mode = 0600;
    EXPECT_EQ(client->SetAttributesOf(*made, mode), NFS4_OK);
    EXPECT_EQ(client->GetAttributes(*made, {FATTR4_RAWDEV})->rawdev.specdata1, 259U);
  }
  EXPECT_EQ(client->GetAttributes(MakeFile(root, "f"), {FATTR4_RAWDEV})->rawdev.specdata1, 0U);
}

TEST_P(NamesTest, OnlyRootMakesDeviceNodes) {
  SetAttributes open;
  open.mode = 0777;
  auto shared = client->Mkdir(root, "shared", open);
  auto other = Another("other", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  EXPECT_EQ(other->MakeNode(*shared, "dev", NF4CHR).status, NFS4ERR_PERM);
  EXPECT_EQ(other->MakeNode(*shared, "fifo", NF4FIFO).status, NFS4_OK);
}

TEST_P(NamesTest, CreateGivesModeOwnerAndChangeInfo) {
  auto other = Another("other", {.uid = 1000, .gid = 1001, .gids = {}, .none = false});
  SetAttributes open;
  open.mode = 0777;
  auto shared = client->Mkdir(root, "shared", open);
  ASSERT_TRUE(shared.ok());
  uint64_t before = client->GetAttributes(*shared)->change;
  SetAttributes mode;
  mode.mode = 01750;
  auto made = other->Mkdir(*shared, "made", mode);
  ASSERT_TRUE(made.ok());
  auto attributes = client->GetAttributes(*made);
  EXPECT_EQ(attributes->mode, 01750U);
  EXPECT_EQ(attributes->owner, "1000");
  EXPECT_EQ(attributes->owner_group, "1001");
  EXPECT_EQ(attributes->numlinks, 2U);
  EXPECT_NE(client->GetAttributes(*shared)->change, before);
  EXPECT_EQ(client->GetAttributes(*shared)->numlinks, 3U);
}

TEST_P(NamesTest, SymlinkHoldsItsTargetUntouched) {
  std::string target = "../../etc/passwd";
  auto link = client->Symlink(root, "link", target);
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(*client->Readlink(*link), target);
  EXPECT_EQ(client->GetAttributes(*link)->type, NF4LNK);
  EXPECT_EQ(client->GetAttributes(*link)->size, target.size());
  nfsstat4 no_link = minor() == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
  EXPECT_EQ(client->Readlink(MakeFile(root, "f")).status, no_link);
  EXPECT_NE(client->Readlink(root).status, NFS4_OK);
  EXPECT_EQ(client->Symlink(root, "empty", "").status, NFS4ERR_INVAL);
  std::string longest(4080, 't');
  auto longest_link = client->Symlink(root, "longest", longest);
  ASSERT_TRUE(longest_link.ok());
  EXPECT_EQ(*client->Readlink(*longest_link), longest);
  EXPECT_EQ(client->Symlink(root, "longer", longest + "t").status, NFS4ERR_NAMETOOLONG);
}

TEST_P(NamesTest, RemoveFilesAndDirectories) {
  auto directory = client->Mkdir(root, "dir");
  MakeFile(*directory, "file");
  EXPECT_EQ(client->Remove(root, "absent"), NFS4ERR_NOENT);
  EXPECT_EQ(client->Remove(root, "dir"), NFS4ERR_NOTEMPTY);
  EXPECT_EQ(client->Remove(*directory, "file"), NFS4_OK);
  EXPECT_EQ(client->Remove(*directory, "file"), NFS4ERR_NOENT);
  EXPECT_EQ(client->Remove(root, "dir"), NFS4_OK);
  EXPECT_EQ(client->GetAttributes(*directory).status, NFS4ERR_STALE);
  EXPECT_EQ(client->Remove(root, ""), NFS4ERR_INVAL);
  EXPECT_EQ(client->Remove(MakeFile(root, "f"), "x"), NFS4ERR_NOTDIR);
}

TEST_P(NamesTest, StickyDirectoryProtectsOthersFiles) {
  SetAttributes sticky;
  sticky.mode = 01777;
  auto tmp = client->Mkdir(root, "tmp", sticky);
  ASSERT_TRUE(tmp.ok());
  auto a = Another("a", {.uid = 1001, .gid = 1, .gids = {}, .none = false});
  auto b = Another("b", {.uid = 1002, .gid = 1, .gids = {}, .none = false});
  auto file = a->Create(*tmp, "f", 0666);
  ASSERT_TRUE(file.ok());
  nfsstat4 removed = b->Remove(*tmp, "f");
  EXPECT_TRUE(removed == NFS4ERR_PERM || removed == NFS4ERR_ACCESS);
  nfsstat4 renamed = b->Rename(*tmp, "f", *tmp, "g");
  EXPECT_TRUE(renamed == NFS4ERR_PERM || renamed == NFS4ERR_ACCESS);
  EXPECT_EQ(a->Remove(*tmp, "f"), NFS4_OK);
}

TEST_P(NamesTest, RenameAsPosixWantsIt) {
  auto a = client->Mkdir(root, "a");
  auto b = client->Mkdir(root, "b");
  Fh file = MakeFile(*a, "x", "one");
  EXPECT_EQ(client->Rename(*a, "x", *b, "y"), NFS4_OK);
  EXPECT_EQ(*client->Lookup(*b, "y"), file);
  EXPECT_EQ(client->Lookup(*a, "x").status, NFS4ERR_NOENT);
  Fh second = MakeFile(*b, "z", "two");
  EXPECT_EQ(client->Rename(*b, "y", *b, "z"), NFS4_OK) << "replaces a file";
  EXPECT_EQ(*client->Lookup(*b, "z"), file);
  EXPECT_EQ(client->GetAttributes(second).status, NFS4ERR_STALE);
  EXPECT_EQ(client->Rename(*b, "z", *b, "z"), NFS4_OK);
  EXPECT_EQ(client->Rename(*b, "absent", *b, "w"), NFS4ERR_NOENT);
  auto full = client->Mkdir(root, "full");
  MakeFile(*full, "f");
  nfsstat4 onto_full = client->Rename(root, "a", root, "full");
  EXPECT_TRUE(onto_full == NFS4ERR_NOTEMPTY || onto_full == NFS4ERR_EXIST);
  EXPECT_EQ(client->Remove(*full, "f"), NFS4_OK);
  EXPECT_EQ(client->Rename(root, "a", root, "full"), NFS4_OK) << "replaces an empty directory";
  nfsstat4 onto_directory = client->Rename(*b, "z", root, "full");
  EXPECT_TRUE(onto_directory == NFS4ERR_EXIST || onto_directory == NFS4ERR_ISDIR);
  nfsstat4 onto_file = client->Rename(root, "full", *b, "z");
  EXPECT_TRUE(onto_file == NFS4ERR_EXIST || onto_file == NFS4ERR_NOTDIR);
  EXPECT_EQ(client->Rename(root, "b", *b, "inside"), NFS4ERR_INVAL);
  EXPECT_EQ(client->Rename(root, "b", root, ""), NFS4ERR_INVAL);
  EXPECT_EQ(client->Rename(root, "b", root, std::string(256, 'n')), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->Rename(file, "b", root, "c"), NFS4ERR_NOTDIR);
  EXPECT_EQ(client->Rename(root, "b", file, "c"), NFS4ERR_NOTDIR);
}

TEST_P(NamesTest, RenamedDirectoryHasANewParent) {
  auto a = client->Mkdir(root, "a");
  auto b = client->Mkdir(root, "b");
  auto moved = client->Mkdir(*a, "moved");
  EXPECT_EQ(client->Rename(*a, "moved", *b, "moved"), NFS4_OK);
  EXPECT_EQ(*client->LookupParent(*moved), *b);
  EXPECT_EQ(client->GetAttributes(*a)->numlinks, 2U);
  EXPECT_EQ(client->GetAttributes(*b)->numlinks, 3U);
}

TEST_P(NamesTest, HardLinks) {
  Fh file = MakeFile(root, "f", "content");
  auto directory = client->Mkdir(root, "d");
  EXPECT_EQ(client->Link(file, *directory, "g"), NFS4_OK);
  EXPECT_EQ(*client->Lookup(*directory, "g"), file);
  EXPECT_EQ(client->GetAttributes(file)->numlinks, 2U);
  EXPECT_EQ(client->Link(file, root, "f"), NFS4ERR_EXIST);
  EXPECT_EQ(client->Link(*directory, root, "dirlink"), NFS4ERR_ISDIR);
  EXPECT_EQ(client->Link(file, file, "x"), NFS4ERR_NOTDIR);
  EXPECT_EQ(client->Link(file, root, ""), NFS4ERR_INVAL);
  EXPECT_EQ(client->Remove(root, "f"), NFS4_OK);
  EXPECT_EQ(Content(file), "content");
  EXPECT_EQ(client->GetAttributes(file)->numlinks, 1U);
}

// In no operation, and nothing is made or taken away.
TEST_P(NamesTest, WhatIsNoNameIsOneNowhere) {
  auto inner = client->Mkdir(root, "inner");
  Fh file = MakeFile(*inner, "f", "content");
  using namespace std::string_view_literals;
  for (std::string_view bad : {"."sv, ".."sv, "../x"sv, "/"sv, "/x"sv, "a/b"sv, "a\0b"sv, ""sv}) {
    for (nfsstat4 status :
         {client->Create(*inner, bad).status, client->Mkdir(*inner, bad).status,
          client->Symlink(*inner, bad, "/").status, client->Link(file, *inner, bad),
          client->Rename(*inner, "f", *inner, bad), client->Rename(*inner, bad, *inner, "g"),
          client->Remove(*inner, bad)}) {
      EXPECT_TRUE(status == NFS4ERR_BADNAME || status == NFS4ERR_BADCHAR || status == NFS4ERR_INVAL)
          << bad << ": " << static_cast<int>(status);
    }
  }
  EXPECT_EQ(Names(*inner), std::vector<std::string>{"f"});
  EXPECT_EQ(Names(root), std::vector<std::string>{"inner"});
}

TEST_P(NamesTest, NamesAreBytes) {
  for (std::string name : {"\xc3\xa4\xe2\x82\xac", " ", "a b", "-", "...", "\xff\xfe", "new\nline",
                           "a,ro,suid", "a\\040b", "\x1b[31m", "..\n", "$(reboot)"}) {
    auto made = client->Mkdir(root, name);
    if (made.status == NFS4ERR_INVAL || made.status == NFS4ERR_BADCHAR) continue;  // not UTF-8
    ASSERT_EQ(made.status, NFS4_OK) << name;
    EXPECT_EQ(*client->Lookup(root, name), *made);
  }
}

NFS_SUITE(NamesTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
