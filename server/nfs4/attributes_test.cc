#include "server/nfs4/attributes.h"

#include <gtest/gtest.h>

#include "server/nfs4/names.h"

namespace tarn::nfs4 {
namespace {

fattr4 Fattr(const xdr::Bitmap& mask, const std::vector<std::byte>& values) {
  return {.attrmask = mask, .attr_vals = values};
}

TEST(Attributes, EveryBitOfTheMaskHasItsValueAndNothingIsLeftOver) {
  Export root;
  root.file_system = 5;
  root.number = 3;
  vfs::Attributes file;
  file.id = {.inode = 42, .generation = 1};
  file.uid = 4'294'967'294;
  file.gid = 7;
  vfs::SpaceInfo space;
  space.bytes_total = 100;
  AttributeSource source{.exported = root,
                         .file = file,
                         .handle = {},
                         .lease_seconds = 30,
                         .minor = 1,
                         .space = &space};
  xdr::Encoder to;
  EncodeAttributes(to,
                   {FATTR4_FSID, FATTR4_FILEID, FATTR4_OWNER, FATTR4_OWNER_GROUP,
                    FATTR4_SPACE_TOTAL, FATTR4_ACL, FATTR4_TIME_MODIFY_SET},
                   source);
  auto bytes = to.Flatten();
  xdr::Decoder from(bytes);
  fattr4 told;
  ASSERT_TRUE(Decode(from, told));
  EXPECT_EQ(told.attrmask, (xdr::Bitmap{FATTR4_FSID, FATTR4_FILEID, FATTR4_OWNER,
                                        FATTR4_OWNER_GROUP, FATTR4_SPACE_TOTAL}));
  xdr::Decoder values(told.attr_vals);
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t fileid = 0;
  uint64_t total = 0;
  std::string_view owner;
  std::string_view group;
  ASSERT_TRUE(values.Get(major) && values.Get(minor) && values.Get(fileid));
  ASSERT_TRUE(values.GetString(owner, 20) && values.GetString(group, 20) && values.Get(total));
  EXPECT_EQ(values.remaining(), 0U);
  EXPECT_EQ(major, 5U);
  EXPECT_EQ(minor, 3U);
  EXPECT_EQ(fileid, 42U);
  EXPECT_EQ(owner, "4294967294");
  EXPECT_EQ(group, "7");
  EXPECT_EQ(total, 100U);
}

TEST(Attributes, TheRootOfAnAccessPointIsACrossing) {
  Export point;
  point.number = 3;
  point.root = {.inode = 9, .generation = 1};
  vfs::Attributes file;
  file.id = point.root;
  AttributeSource source{.exported = point, .file = file, .handle = {}};
  xdr::Encoder to;
  EncodeAttributes(to, {FATTR4_FILEID, FATTR4_MOUNTED_ON_FILEID}, source);
  auto bytes = to.Flatten();
  xdr::Decoder from(bytes);
  fattr4 told;
  ASSERT_TRUE(Decode(from, told));
  xdr::Decoder values(told.attr_vals);
  uint64_t fileid = 0;
  uint64_t mounted_on = 0;
  ASSERT_TRUE(values.Get(fileid) && values.Get(mounted_on));
  EXPECT_EQ(fileid, 9U);
  EXPECT_NE(mounted_on, fileid);
}

TEST(Attributes, DecodesWhatCanBeSet) {
  xdr::Encoder to;
  to.Put(uint64_t{100});
  to.Put(uint32_t{0640});
  to.PutString("12@any.domain");
  to.PutString("34");
  to.Put(static_cast<uint32_t>(SET_TO_SERVER_TIME4));
  to.Put(static_cast<uint32_t>(SET_TO_CLIENT_TIME4));
  to.Put(int64_t{-5});
  to.Put(uint32_t{6});
  xdr::Bitmap mask = {
      FATTR4_SIZE,           FATTR4_MODE, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_TIME_ACCESS_SET,
      FATTR4_TIME_MODIFY_SET};
  vfs::AttributeChange change;
  auto values = to.Flatten();
  ASSERT_EQ(DecodeAttributeChange(Fattr(mask, values), 0, SetBy::kSetAttr, change), NFS4_OK);
  EXPECT_EQ(change.size, 100U);
  EXPECT_EQ(change.mode, 0640U);
  EXPECT_EQ(change.uid, 12U);
  EXPECT_EQ(change.gid, 34U);
  EXPECT_TRUE(change.access_time_now);
  EXPECT_EQ(change.modify_time, (vfs::Time{.seconds = -5, .nanoseconds = 6}));
  for (size_t size = 0; size < values.size(); ++size) {
    vfs::AttributeChange unused;
    std::vector<std::byte> cut(values.begin(), values.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_EQ(DecodeAttributeChange(Fattr(mask, cut), 0, SetBy::kSetAttr, unused), NFS4ERR_BADXDR)
        << size;
  }
}

TEST(Attributes, RefusesWhatCannotBeSet) {
  vfs::AttributeChange change;
  std::vector<std::byte> word(4);
  EXPECT_EQ(DecodeAttributeChange(Fattr({FATTR4_TYPE}, word), 1, SetBy::kSetAttr, change),
            NFS4ERR_INVAL);
  EXPECT_EQ(DecodeAttributeChange(Fattr({FATTR4_ACL}, word), 1, SetBy::kSetAttr, change),
            NFS4ERR_ATTRNOTSUPP);
  std::vector<std::byte> wild(4, std::byte{0xff});
  EXPECT_EQ(DecodeAttributeChange(Fattr({FATTR4_MODE}, wild), 1, SetBy::kSetAttr, change),
            NFS4ERR_INVAL);
  xdr::Encoder who;
  who.PutString("alice");
  EXPECT_EQ(DecodeAttributeChange(Fattr({FATTR4_OWNER}, who.Flatten()), 1, SetBy::kSetAttr, change),
            NFS4ERR_BADOWNER);
}

TEST(Names, TellsEachBadNameFromTheOthers) {
  EXPECT_EQ(CheckComponent("a b\xff"), NFS4_OK);
  EXPECT_EQ(CheckComponent(""), NFS4ERR_INVAL);
  EXPECT_EQ(CheckComponent(".."), NFS4ERR_BADNAME);
  EXPECT_EQ(CheckComponent("a/b"), NFS4ERR_BADCHAR);
  EXPECT_EQ(CheckComponent(std::string(256, 'x')), NFS4ERR_NAMETOOLONG);
}

TEST(Names, KnowsUtf8) {
  EXPECT_TRUE(IsUtf8("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"));
  for (std::string_view bad :
       {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace tarn::nfs4
