// GETATTR, SETATTR, VERIFY, NVERIFY, ACCESS, SECINFO: RFC 8881 sections 5, 18.1, 18.7, 18.15,
// 18.29, 18.30, 18.31.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

using nfs_client::EncodedAttributes;

class AttributesTest : public NfsTest {
 protected:
  nfsstat4 Set(const Fh& fh, const SetAttributes& set) { return client->SetAttributesOf(fh, set); }
};

TEST_P(AttributesTest, EverySupportedAttributeCanBeRead) {
  auto supported = client->GetAttributes(root, {FATTR4_SUPPORTED_ATTRS});
  ASSERT_TRUE(supported.ok() && supported->supported);
  xdr::Bitmap all = *supported->supported;
  // Mandatory ones (RFC 8881 section 5.6).
  for (uint32_t bit :
       {FATTR4_SUPPORTED_ATTRS, FATTR4_TYPE, FATTR4_FH_EXPIRE_TYPE, FATTR4_CHANGE, FATTR4_SIZE,
        FATTR4_LINK_SUPPORT, FATTR4_SYMLINK_SUPPORT, FATTR4_NAMED_ATTR, FATTR4_FSID,
        FATTR4_UNIQUE_HANDLES, FATTR4_LEASE_TIME, FATTR4_RDATTR_ERROR, FATTR4_FILEHANDLE}) {
    EXPECT_TRUE(all.Has(bit)) << bit;
  }
  EXPECT_EQ(all.Has(FATTR4_SUPPATTR_EXCLCREAT), minor() > 0);
  for (Fh fh : {root, MakeFile(root, "f"), *client->Symlink(root, "l", "t")}) {
    xdr::Bitmap readable = all;
    for (uint32_t only_set : {FATTR4_TIME_ACCESS_SET, FATTR4_TIME_MODIFY_SET,
                              FATTR4_MODE_SET_MASKED, FATTR4_MODE_UMASK}) {
      readable.Clear(only_set);
    }
    auto read = client->GetAttributes(fh, readable);
    ASSERT_TRUE(read.ok());
    xdr::Bitmap given = read->given;
    given.Set(FATTR4_RDATTR_ERROR);  // of no use outside READDIR
    readable.Set(FATTR4_RDATTR_ERROR);
    EXPECT_EQ(given, readable);
    EXPECT_EQ(read->filehandle, fh);
    EXPECT_EQ(read->fh_expire_type, FH4_PERSISTENT);
    EXPECT_EQ(read->lease_time, static_cast<uint32_t>(World::kLease.count()));
    EXPECT_EQ(read->maxname, 255U);
    EXPECT_GE(read->maxread, 1U << 20);
    EXPECT_GE(read->maxwrite, 1U << 20);
    EXPECT_GT(read->fileid, 0U);
  }
}

// RFC 9754 section 3: what a client may put into OPEN.
TEST_P(AttributesTest, OpenArgumentsAreTold) {
  auto told = client->GetAttributes(root, {FATTR4_OPEN_ARGUMENTS});
  ASSERT_TRUE(told.ok());
  ASSERT_EQ(told->given.Has(FATTR4_OPEN_ARGUMENTS), minor() >= 2);
  if (minor() < 2) return;
  const open_arguments4& open = told->open_arguments;
  EXPECT_TRUE(open.oa_share_access.Has(OPEN_ARGS_SHARE_ACCESS_BOTH));
  EXPECT_TRUE(open.oa_share_deny.Has(OPEN_ARGS_SHARE_DENY_BOTH));
  EXPECT_TRUE(open.oa_share_access_want.Has(OPEN_ARGS_SHARE_ACCESS_WANT_NO_DELEG));
  EXPECT_FALSE(open.oa_share_access_want.Has(OPEN_ARGS_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS));
  EXPECT_TRUE(open.oa_open_claim.Has(OPEN_ARGS_OPEN_CLAIM_FH));
  EXPECT_FALSE(open.oa_open_claim.Has(OPEN_ARGS_OPEN_CLAIM_DELEGATE_PREV));
  EXPECT_TRUE(open.oa_create_mode.Has(OPEN_ARGS_CREATE_MODE_EXCLUSIVE4_1));
}

TEST_P(AttributesTest, UnknownAttributesAreLeftOut) {
  xdr::Bitmap wanted{FATTR4_TYPE, FATTR4_ACL, FATTR4_HIDDEN, FATTR4_MIMETYPE, 95};
  auto read = client->GetAttributes(root, wanted);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->given, xdr::Bitmap{FATTR4_TYPE});
  EXPECT_TRUE(client->GetAttributes(root, {}).ok());
}

TEST_P(AttributesTest, WriteOnlyAttributesCannotBeRead) {
  EXPECT_EQ(client->GetAttributes(root, {FATTR4_TIME_ACCESS_SET}).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->GetAttributes(root, {FATTR4_TIME_MODIFY_SET}).status, NFS4ERR_INVAL);
}

TEST_P(AttributesTest, SetModeOwnerTimes) {
  Fh file = MakeFile(root, "f");
  SetAttributes set;
  set.mode = 04751;
  set.owner = "1000";
  set.owner_group = "2000";
  set.access_time = settime4{SET_TO_CLIENT_TIME4, {.seconds = 11, .nseconds = 12}};
  set.modify_time = settime4{SET_TO_CLIENT_TIME4, {.seconds = -13, .nseconds = 14}};
  uint64_t change = client->GetAttributes(file)->change;
  ASSERT_EQ(Set(file, set), NFS4_OK);
  auto read = client->GetAttributes(file);
  EXPECT_EQ(read->mode & 0777, 0751U);
  EXPECT_EQ(read->owner, "1000");
  EXPECT_EQ(read->owner_group, "2000");
  EXPECT_EQ(read->time_access.seconds, 11);
  EXPECT_EQ(read->time_access.nseconds, 12U);
  EXPECT_EQ(read->time_modify.seconds, -13);
  EXPECT_GT(read->change, change);
  SetAttributes now;
  now.modify_time = settime4{SET_TO_SERVER_TIME4, {}};
  ASSERT_EQ(Set(file, now), NFS4_OK);
  EXPECT_GT(client->GetAttributes(file)->time_modify.seconds, 11);
}

TEST_P(AttributesTest, SetSizeTruncatesAndExtends) {
  Fh file = MakeFile(root, "f", "0123456789");
  SetAttributes size;
  size.size = 4;
  ASSERT_EQ(Set(file, size), NFS4_OK);
  EXPECT_EQ(Content(file), "0123");
  size.size = 8;
  ASSERT_EQ(Set(file, size), NFS4_OK);
  EXPECT_EQ(Content(file), std::string("0123\0\0\0\0", 8));
  EXPECT_EQ(Set(root, size), NFS4ERR_ISDIR);
  size.size = UINT64_MAX;
  nfsstat4 huge = Set(file, size);
  EXPECT_TRUE(huge == NFS4ERR_FBIG || huge == NFS4ERR_INVAL);
}

TEST_P(AttributesTest, SetRefusesWhatCannotBeSet) {
  Fh file = MakeFile(root, "f");
  auto set = [&](uint32_t bit, const std::vector<uint32_t>& words) {
    xdr::Encoder values;
    for (uint32_t word : words) values.Put(word);
    Bytes bytes = values.Flatten();
    Compound compound;
    compound.Put(file).Add(
        OP_SETATTR, SETATTR4args{.stateid = {}, .obj_attributes = {xdr::Bitmap{bit}, bytes}});
    return client->Run(compound).status;
  };
  EXPECT_EQ(set(FATTR4_TYPE, {1}), NFS4ERR_INVAL);
  EXPECT_EQ(set(FATTR4_CHANGE, {0, 1}), NFS4ERR_INVAL);
  EXPECT_EQ(set(FATTR4_FILEID, {0, 1}), NFS4ERR_INVAL);
  EXPECT_EQ(set(FATTR4_ACL, {0}), NFS4ERR_ATTRNOTSUPP);
  EXPECT_EQ(set(FATTR4_HIDDEN, {1}), NFS4ERR_ATTRNOTSUPP);
  EXPECT_EQ(set(FATTR4_MODE, {}), NFS4ERR_BADXDR);
  EXPECT_EQ(set(FATTR4_MODE, {0644, 7}), NFS4ERR_BADXDR);
  EXPECT_EQ(set(FATTR4_MODE, {0777777}), NFS4ERR_INVAL);
  EXPECT_EQ(set(FATTR4_OWNER, {4, 0x61626364}), NFS4ERR_BADOWNER);
  EXPECT_EQ(set(FATTR4_OWNER, {400, 0x61626364}), NFS4ERR_BADXDR);
  EXPECT_EQ(set(FATTR4_TIME_MODIFY_SET, {1, 0, 5, 1'000'000'000}), NFS4ERR_INVAL);
}

TEST_P(AttributesTest, PermissionsOfSetattr) {
  Fh file = MakeFile(root, "f", "", 0644);
  auto other = Another("other", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  SetAttributes mode;
  mode.mode = 0777;
  EXPECT_EQ(other->SetAttributesOf(file, mode), NFS4ERR_PERM);
  SetAttributes owner;
  owner.owner = "1000";
  EXPECT_EQ(other->SetAttributesOf(file, owner), NFS4ERR_PERM);
  SetAttributes size;
  size.size = 0;
  EXPECT_EQ(other->SetAttributesOf(file, size), NFS4ERR_ACCESS);
  SetAttributes now;
  now.modify_time = settime4{SET_TO_SERVER_TIME4, {}};
  nfsstat4 touched = other->SetAttributesOf(file, now);
  EXPECT_TRUE(touched == NFS4ERR_ACCESS || touched == NFS4ERR_PERM);
}

TEST_P(AttributesTest, AccessTellsModeBits) {
  Fh file = MakeFile(root, "f", "", 0640);
  auto member = Another("member", {.uid = 1000, .gid = 5, .gids = {0}, .none = false});
  auto stranger = Another("stranger", {.uid = 1001, .gid = 5, .gids = {}, .none = false});
  EXPECT_EQ(*client->Access(file) & (ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND),
            ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND);
  EXPECT_EQ(*member->Access(file) & (ACCESS4_READ | ACCESS4_MODIFY), ACCESS4_READ);
  EXPECT_EQ(*stranger->Access(file), 0U);
  EXPECT_EQ(*stranger->Access(root) & (ACCESS4_LOOKUP | ACCESS4_MODIFY), ACCESS4_LOOKUP);
  EXPECT_EQ(*client->Access(file, ACCESS4_READ), ACCESS4_READ) << "answers only what was asked";
  auto nobody = Another("nobody", {.uid = 0, .gid = 0, .gids = {}, .none = true});
  EXPECT_EQ(*nobody->Access(file), 0U) << "AUTH_NONE is nobody";
}

TEST_P(AttributesTest, VerifyAndNverify) {
  Fh file = MakeFile(root, "f", "12345");
  auto compare = [&](nfs_opnum4 op, uint64_t size) {
    SetAttributes set;
    set.size = size;
    EncodedAttributes attributes(set);
    Compound compound;
    compound.Put(file).Add(op, VERIFY4args{.obj_attributes = attributes.view()});
    return client->Run(compound).status;
  };
  EXPECT_EQ(compare(OP_VERIFY, 5), NFS4_OK);
  EXPECT_EQ(compare(OP_VERIFY, 6), NFS4ERR_NOT_SAME);
  EXPECT_EQ(compare(OP_NVERIFY, 5), NFS4ERR_SAME);
  EXPECT_EQ(compare(OP_NVERIFY, 6), NFS4_OK);
  Compound unsupported;
  Bytes none(4);
  unsupported.Put(file).Add(OP_VERIFY,
                            VERIFY4args{.obj_attributes = {xdr::Bitmap{FATTR4_ACL}, none}});
  EXPECT_EQ(client->Run(unsupported).status, NFS4ERR_ATTRNOTSUPP);
  Compound error;
  error.Put(file).Add(OP_VERIFY,
                      VERIFY4args{.obj_attributes = {xdr::Bitmap{FATTR4_RDATTR_ERROR}, none}});
  EXPECT_EQ(client->Run(error).status, NFS4ERR_INVAL);
}

TEST_P(AttributesTest, ChangeGrowsWithEveryChange) {
  auto directory = client->Mkdir(root, "d");
  uint64_t last = client->GetAttributes(*directory)->change;
  auto grown = [&](const char* after) {
    uint64_t now = client->GetAttributes(*directory)->change;
    EXPECT_GT(now, last) << after;
    last = now;
  };
  Fh file = MakeFile(*directory, "f");
  grown("create");
  EXPECT_EQ(client->Link(file, *directory, "g"), NFS4_OK);
  grown("link");
  EXPECT_EQ(client->Rename(*directory, "g", *directory, "h"), NFS4_OK);
  grown("rename");
  EXPECT_EQ(client->Remove(*directory, "h"), NFS4_OK);
  grown("remove");
  SetAttributes mode;
  mode.mode = 0700;
  EXPECT_EQ(Set(*directory, mode), NFS4_OK);
  grown("setattr");
}

TEST_P(AttributesTest, Secinfo) {
  MakeFile(root, "f");
  Compound compound;
  compound.Root().Add(OP_SECINFO, SECINFO4args{.name = "f"});
  CompoundReply reply = client->Run(compound);
  ASSERT_EQ(reply.status, NFS4_OK);
  bool sys = false;
  for (const secinfo4& flavor : reply.Get<SECINFO4res>(1).resok4) sys = sys || flavor.flavor == 1;
  EXPECT_TRUE(sys);
  Compound absent;
  absent.Root().Add(OP_SECINFO, SECINFO4args{.name = "absent"});
  EXPECT_EQ(client->Run(absent).status, NFS4ERR_NOENT);
  if (minor() == 0) return;
  Compound consumed;  // RFC 8881 section 2.6.3.1.1.8: the current file handle is consumed
  consumed.Root().Add(OP_SECINFO_NO_NAME, SECINFO_NO_NAME4args{SECINFO_STYLE4_CURRENT_FH}).GetFh();
  reply = client->Run(consumed);
  EXPECT_EQ(reply.status, NFS4ERR_NOFILEHANDLE);
  EXPECT_EQ(reply.size(), 3U);
}

NFS_SUITE(AttributesTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
