// nfs4.x as compiled: a compound survives both directions, and no truncation of it is accepted.
#include <gtest/gtest.h>

#include "api/nfs4.h"

namespace tarn::nfs4 {
namespace {

COMPOUND4args OpenCompound() {
  static const std::array<std::byte, 8> kHandle{};
  static const std::array<std::byte, 4> kMode{};
  COMPOUND4args args;
  args.tag = "tag";
  args.minorversion = 1;
  nfs_argop4 op;
  op.argop = OP_PUTFH;
  op.u.emplace<PUTFH4args>().object = kHandle;
  args.argarray.push_back(op);
  op.argop = OP_OPEN;
  auto& open = op.u.emplace<OPEN4args>();
  open.share_access = OPEN4_SHARE_ACCESS_BOTH;
  open.openhow.opentype = OPEN4_CREATE;
  open.openhow.how.mode = GUARDED4;
  open.openhow.how.createattrs = {.attrmask = {FATTR4_MODE}, .attr_vals = kMode};
  open.claim.claim = CLAIM_NULL;
  open.claim.file = "name";
  args.argarray.push_back(op);
  op.argop = OP_GETFH;
  op.u = std::monostate{};
  args.argarray.push_back(op);
  return args;
}

TEST(Nfs4Xdr, CompoundRoundTrip) {
  xdr::Encoder to;
  Encode(to, OpenCompound());
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder from(bytes);
  COMPOUND4args back;
  ASSERT_TRUE(Decode(from, back));
  EXPECT_EQ(from.remaining(), 0U);
  ASSERT_EQ(back.argarray.size(), 3U);
  const auto& open = std::get<OPEN4args>(back.argarray[1].u);
  EXPECT_EQ(open.claim.file, "name");
  EXPECT_TRUE(open.openhow.how.createattrs.attrmask.Has(FATTR4_MODE));
  std::string text;
  Print(text, back);
  EXPECT_NE(text.find("OP_OPEN"), std::string::npos) << text;
}

TEST(Nfs4Xdr, EveryTruncationIsRefused) {
  xdr::Encoder to;
  Encode(to, OpenCompound());
  std::vector<std::byte> bytes = to.Flatten();
  for (size_t size = 0; size < bytes.size(); ++size) {
    xdr::Decoder from(xdr::Opaque(bytes).first(size));
    COMPOUND4args back;
    EXPECT_FALSE(Decode(from, back)) << size;
  }
}

TEST(Nfs4Xdr, DirectoryListRoundTrip) {
  READDIR4res res;
  res.status = NFS4_OK;
  res.resok4.reply.entries.resize(2);
  res.resok4.reply.entries[1].name = "second";
  res.resok4.reply.eof = true;
  xdr::Encoder to;
  Encode(to, res);
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder from(bytes);
  READDIR4res back;
  ASSERT_TRUE(Decode(from, back));
  ASSERT_EQ(back.resok4.reply.entries.size(), 2U);
  EXPECT_EQ(back.resok4.reply.entries[1].name, "second");
  EXPECT_TRUE(back.resok4.reply.eof);
}

}  // namespace
}  // namespace tarn::nfs4
