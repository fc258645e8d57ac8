// Extended attributes (RFC 8276), and what else 4.2 adds to attributes (RFC 7862 section 12.2,
// RFC 8275).
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class XattrTest : public Nfs42Test {
 protected:
  XattrTest() : file(MakeFile(root, "f", "content")) {}
  nfsstat4 Set(const Fh& fh, std::string_view name, std::string_view value,
               setxattr_option4 option = SETXATTR4_EITHER) {
    return client->SetXattr(fh, name, value, option).status;
  }
  Fh file;
};

TEST_P(XattrTest, SetGetAndRemove) {
  for (const Fh& fh : {file, *client->Mkdir(root, "d")}) {
    EXPECT_EQ(client->GetXattr(fh, "colour").status, NFS4ERR_NOXATTR);
    ASSERT_EQ(Set(fh, "colour", "red"), NFS4_OK);
    EXPECT_EQ(*client->GetXattr(fh, "colour"), "red");
    ASSERT_EQ(Set(fh, "colour", std::string("with \0 in it", 12)), NFS4_OK);
    EXPECT_EQ(*client->GetXattr(fh, "colour"), std::string("with \0 in it", 12));
    ASSERT_EQ(Set(fh, "empty", ""), NFS4_OK);
    EXPECT_EQ(*client->GetXattr(fh, "empty"), "");
    EXPECT_EQ(client->RemoveXattr(fh, "colour").status, NFS4_OK);
    EXPECT_EQ(client->GetXattr(fh, "colour").status, NFS4ERR_NOXATTR);
    EXPECT_EQ(client->RemoveXattr(fh, "colour").status, NFS4ERR_NOXATTR);
  }
}

TEST_P(XattrTest, CreateAndReplace) {
  EXPECT_EQ(Set(file, "a", "1", SETXATTR4_REPLACE), NFS4ERR_NOXATTR);
  EXPECT_EQ(Set(file, "a", "1", SETXATTR4_CREATE), NFS4_OK);
  EXPECT_EQ(Set(file, "a", "2", SETXATTR4_CREATE), NFS4ERR_EXIST);
  EXPECT_EQ(*client->GetXattr(file, "a"), "1");
  EXPECT_EQ(Set(file, "a", "3", SETXATTR4_REPLACE), NFS4_OK);
  EXPECT_EQ(*client->GetXattr(file, "a"), "3");
  EXPECT_EQ(Set(file, "a", "4", static_cast<setxattr_option4>(3)), NFS4ERR_INVAL);
}

TEST_P(XattrTest, ChangeInfoIsThatOfTheFile) {
  auto before = client->GetAttributes(file);
  auto set = client->SetXattr(file, "a", "1");
  ASSERT_EQ(set.status, NFS4_OK);
  auto after = client->GetAttributes(file);
  EXPECT_TRUE(set->atomic);
  EXPECT_EQ(set->before, before->change);
  EXPECT_EQ(set->after, after->change);
  EXPECT_GT(after->change, before->change);
  EXPECT_EQ(after->time_modify.seconds, before->time_modify.seconds);
  auto removed = client->RemoveXattr(file, "a");
  ASSERT_EQ(removed.status, NFS4_OK);
  EXPECT_EQ(removed->before, after->change);
}

TEST_P(XattrTest, ValuesOfEverySize) {
  for (size_t size : {1U, 4095U, 4096U, 10'000U, 65'536U}) {
    std::string value(size, static_cast<char>('a' + size % 26));
    ASSERT_EQ(Set(file, "v", value), NFS4_OK) << size;
    EXPECT_EQ(*client->GetXattr(file, "v"), value);
  }
  EXPECT_EQ(Set(file, "v", std::string(65'537, 'x')), NFS4ERR_XATTR2BIG);
  EXPECT_EQ(client->GetXattr(file, "v")->size(), 65'536U);
}

TEST_P(XattrTest, NamesAreChecked) {
  EXPECT_EQ(Set(file, "", "x"), NFS4ERR_INVAL);
  EXPECT_EQ(Set(file, std::string(256, 'n'), "x"), NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(Set(file, std::string("a\0b", 3), "x"), NFS4ERR_BADCHAR);
  EXPECT_EQ(Set(file, std::string(255, 'n'), "x"), NFS4_OK);
  EXPECT_EQ(Set(file, "with/slash and \xc3\xa4", "x"), NFS4_OK);
  EXPECT_EQ(client->GetXattr(file, "").status, NFS4ERR_INVAL);
  EXPECT_EQ(client->RemoveXattr(file, std::string(256, 'n')).status, NFS4ERR_NAMETOOLONG);
  EXPECT_EQ(client->ListXattrs(file)->names.size(), 2U);
}

TEST_P(XattrTest, TooMany) {
  nfsstat4 status = NFS4_OK;
  uint32_t made = 0;
  while (status == NFS4_OK && made <= vfs::kXattrsMax) {
    status = Set(file, "n" + std::to_string(made), "x");
    if (status == NFS4_OK) ++made;
  }
  EXPECT_EQ(status, NFS4ERR_NOSPC);
  EXPECT_EQ(made, vfs::kXattrsMax);
  EXPECT_EQ(Set(file, "n0", "another value"), NFS4_OK);
}

TEST_P(XattrTest, ListComesInPages) {
  auto none = client->ListXattrs(file);
  ASSERT_EQ(none.status, NFS4_OK);
  EXPECT_TRUE(none->end && none->names.empty());
  std::vector<std::string> wanted;
  for (int i = 0; i < 50; ++i) {
    wanted.push_back("name-" + std::to_string(100 + i));
    ASSERT_EQ(Set(file, wanted.back(), "x"), NFS4_OK);
  }
  for (uint32_t bytes : {40U, 100U, 65'536U}) {
    std::vector<std::string> names;
    uint64_t cookie = 0;
    for (bool end = false; !end;) {
      auto page = client->ListXattrs(file, cookie, bytes);
      ASSERT_EQ(page.status, NFS4_OK);
      size_t size = 16;
      for (const auto& name : page->names) size += 4 + xdr::Padded(name.size());
      EXPECT_LE(size, bytes);
      ASSERT_TRUE(page->end || !page->names.empty());
      names.insert(names.end(), page->names.begin(), page->names.end());
      cookie = page->cookie;
      end = page->end;
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, wanted) << bytes;
  }
  EXPECT_EQ(client->ListXattrs(file, 0, 15).status, NFS4ERR_TOOSMALL);
  EXPECT_EQ(client->ListXattrs(file, 0, 20).status, NFS4ERR_TOOSMALL);
}

TEST_P(XattrTest, OtherTypesHaveNone) {
  for (const Fh& fh : {*client->Symlink(root, "l", "t"), *client->MakeNode(root, "p", NF4FIFO)}) {
    EXPECT_EQ(Set(fh, "a", "1"), NFS4ERR_WRONG_TYPE);
    EXPECT_EQ(client->GetXattr(fh, "a").status, NFS4ERR_WRONG_TYPE);
    EXPECT_EQ(client->ListXattrs(fh).status, NFS4ERR_WRONG_TYPE);
    EXPECT_EQ(client->RemoveXattr(fh, "a").status, NFS4ERR_WRONG_TYPE);
  }
}

TEST_P(XattrTest, RightsAndAccess) {
  constexpr uint32_t kAll = ACCESS4_XAREAD | ACCESS4_XAWRITE | ACCESS4_XALIST;
  ASSERT_EQ(Set(file, "a", "1"), NFS4_OK);
  EXPECT_EQ(*client->Access(file, kAll), kAll);
  auto stranger = Another("stranger", {.uid = 1001, .gid = 9, .gids = {}, .none = false});
  EXPECT_EQ(*stranger->Access(file, kAll), ACCESS4_XAREAD | ACCESS4_XALIST);
  EXPECT_EQ(*stranger->GetXattr(file, "a"), "1");
  EXPECT_EQ(stranger->SetXattr(file, "a", "2").status, NFS4ERR_ACCESS);
  EXPECT_EQ(stranger->RemoveXattr(file, "a").status, NFS4ERR_ACCESS);
  SetAttributes closed;
  closed.mode = 0600;
  ASSERT_EQ(client->SetAttributesOf(file, closed), NFS4_OK);
  EXPECT_EQ(*stranger->Access(file, kAll), 0U);
  EXPECT_EQ(stranger->GetXattr(file, "a").status, NFS4ERR_ACCESS);
  EXPECT_EQ(stranger->ListXattrs(file).status, NFS4ERR_ACCESS);
}

TEST_P(XattrTest, TheyGoWithTheFileAndSurviveARestart) {
  ASSERT_EQ(Set(file, "a", "1"), NFS4_OK);
  ASSERT_EQ(client->Rename(root, "f", root, "g"), NFS4_OK);
  world.Restart();
  world.EndGrace();
  client = world.Mount(minor());
  EXPECT_EQ(*client->GetXattr(file, "a"), "1");
  ASSERT_EQ(client->Remove(root, "g"), NFS4_OK);
  EXPECT_EQ(client->GetXattr(file, "a").status, NFS4ERR_STALE);
  Fh next = MakeFile(root, "f");
  EXPECT_TRUE(client->ListXattrs(next)->names.empty());
}

// --- attributes ---

TEST_P(XattrTest, AttributesOf42) {
  auto supported = client->GetAttributes(root, {FATTR4_SUPPORTED_ATTRS})->supported;
  for (uint32_t bit : {FATTR4_CLONE_BLKSIZE, FATTR4_SPACE_FREED, FATTR4_CHANGE_ATTR_TYPE,
                       FATTR4_MODE_UMASK, FATTR4_XATTR_SUPPORT}) {
    EXPECT_TRUE(supported->Has(bit)) << bit;
  }
  EXPECT_FALSE(supported->Has(FATTR4_SEC_LABEL));
  auto read = client->GetAttributes(file, {FATTR4_SPACE_FREED, FATTR4_SPACE_USED});
  EXPECT_EQ(read->space_freed, read->space_used);
  EXPECT_EQ(client->GetAttributes(file, {FATTR4_MODE_UMASK}).status, NFS4ERR_INVAL);
}

TEST_P(XattrTest, ModeAndUmaskOfNewFiles) {
  OpenRequest request;
  request.create = GUARDED4;
  request.attributes.mode_umask = mode_umask4{.mu_mode = 06777, .mu_umask = 0027};
  auto made = client->Open(root, "with umask", request);
  ASSERT_EQ(made.status, NFS4_OK);
  EXPECT_EQ(client->GetAttributes(made->fh)->mode, 06750U);
  SetAttributes both;
  both.mode_umask = mode_umask4{.mu_mode = 0777, .mu_umask = 0022};
  auto directory = client->Mkdir(root, "d", both);
  EXPECT_EQ(directory.status, NFS4ERR_INVAL) << "mode and mode_umask";
  request.create = EXCLUSIVE4_1;
  auto exclusive = client->Open(root, "exclusive", request);
  ASSERT_EQ(exclusive.status, NFS4_OK);
  EXPECT_EQ(client->GetAttributes(exclusive->fh)->mode, 06750U);
}

TEST_P(XattrTest, ModeAndUmaskAreOfCreationOnly) {
  SetAttributes set;
  set.mode_umask = mode_umask4{.mu_mode = 0777, .mu_umask = 0};
  EXPECT_EQ(client->SetAttributesOf(file, set), NFS4ERR_INVAL);
  OpenRequest request;
  request.create = GUARDED4;
  request.attributes.mode_umask = mode_umask4{.mu_mode = 0777, .mu_umask = 01000};
  EXPECT_EQ(client->Open(root, "bad umask", request).status, NFS4ERR_INVAL);
  request.attributes.mode_umask = mode_umask4{.mu_mode = 010777, .mu_umask = 0};
  EXPECT_EQ(client->Open(root, "bad mode", request).status, NFS4ERR_INVAL);
}

NFS_SUITE(XattrTest, Settings42());

}  // namespace
}  // namespace tarn::nfs_test
