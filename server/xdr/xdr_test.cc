// The XDR runtime and compiler, by way of the RPC header (RFC 4506, RFC 5531).
#include <gtest/gtest.h>

#include <algorithm>

#include "api/rpc.h"

namespace tarn {
namespace {

std::vector<std::byte> EncodedCall() {
  static const std::array<std::byte, 5> kBody{std::byte{1}, std::byte{2}, std::byte{3}};
  rpc::rpc_msg call;
  call.xid = 7;
  call.body.mtype = rpc::CALL;
  call.body.cbody = {.rpcvers = 2, .prog = 100003, .vers = 4, .proc = 1, .cred = {}, .verf = {}};
  call.body.cbody.cred = {.flavor = rpc::AUTH_SYS, .body = kBody};
  xdr::Encoder to;
  Encode(to, call);
  return to.Flatten();
}

TEST(Xdr, CallHeaderRoundTrip) {
  std::vector<std::byte> bytes = EncodedCall();
  EXPECT_EQ(bytes.size(), 24U + 8 + 8 + 8);  // five bytes of credential are padded to eight
  xdr::Decoder from(bytes);
  rpc::rpc_msg back;
  ASSERT_TRUE(Decode(from, back));
  EXPECT_EQ(from.remaining(), 0U);
  EXPECT_EQ(back.xid, 7U);
  EXPECT_EQ(back.body.cbody.prog, 100003U);
  EXPECT_EQ(back.body.cbody.cred.body.size(), 5U);
  std::string text;
  Print(text, back);
  EXPECT_NE(text.find("AUTH_SYS"), std::string::npos) << text;
}

TEST(Xdr, EveryTruncationIsRefused) {
  std::vector<std::byte> bytes = EncodedCall();
  for (size_t size = 0; size < bytes.size(); ++size) {
    xdr::Decoder from(xdr::Opaque(bytes).first(size));
    rpc::rpc_msg back;
    EXPECT_FALSE(Decode(from, back)) << size;
  }
}

TEST(Xdr, BoundsAndLyingCountsAreRefused) {
  xdr::Encoder to;
  to.Put(uint32_t{0});   // stamp
  to.PutString("host");  // machinename
  to.Put(uint64_t{0});   // uid, gid
  to.Put(uint32_t{16});  // sixteen gids, of which none follows
  std::vector<std::byte> lying = to.Flatten();
  rpc::authsys_parms parms;
  xdr::Decoder short_one(lying);
  EXPECT_FALSE(Decode(short_one, parms));

  xdr::Encoder wide;
  wide.Put(uint32_t{rpc::AUTH_BODY_BYTES_MAX + 1});
  std::vector<std::byte> head = wide.Flatten();
  head.resize(1024);
  xdr::Opaque body;
  xdr::Decoder too_long(head);
  EXPECT_FALSE(too_long.GetOpaque(body, rpc::AUTH_BODY_BYTES_MAX));
}

TEST(Xdr, UnknownUnionArmIsRefusedUnknownEnumIsCarried) {
  xdr::Encoder to;
  to.Put(uint32_t{1});   // xid
  to.Put(uint32_t{99});  // no msg_type
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder from(bytes);
  rpc::rpc_msg message;
  EXPECT_FALSE(Decode(from, message));

  xdr::Decoder again(xdr::Opaque(bytes).subspan(4));
  rpc::auth_flavor flavor{};
  ASSERT_TRUE(Decode(again, flavor));
  EXPECT_EQ(static_cast<uint32_t>(flavor), 99U);
}

TEST(Xdr, BoolIsZeroOrOne) {
  xdr::Encoder to;
  to.Put(uint32_t{2});
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder from(bytes);
  bool value = false;
  EXPECT_FALSE(from.Get(value));
}

TEST(Xdr, BulkDataIsReferencedNotCopied) {
  std::vector<std::byte> bulk(xdr::Encoder::kBulkBytesMin + 1, std::byte{9});
  xdr::Encoder to;
  to.Put(uint32_t{5});
  to.PutOpaque(bulk);
  to.Put(uint32_t{6});
  std::vector<iovec> pieces;
  to.Gather(pieces);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].iov_base, bulk.data());
  EXPECT_EQ(to.size(), 4 + 4 + xdr::Padded(bulk.size()) + 4);
  std::vector<std::byte> flat = to.Flatten();
  xdr::Decoder from(flat);
  uint32_t number = 0;
  xdr::Opaque back;
  ASSERT_TRUE(from.Get(number) && from.GetOpaque(back, UINT32_MAX) && from.Get(number));
  EXPECT_EQ(number, 6U);
  EXPECT_TRUE(std::ranges::equal(back, bulk));
}

TEST(Xdr, TruncateAndPatchUndoAResult) {
  xdr::Encoder to;
  xdr::Encoder::Mark start = to.mark();
  to.Put(uint32_t{1});
  xdr::Encoder::Mark after = to.mark();
  std::vector<std::byte> bulk(8192);
  to.PutOpaque(bulk);
  to.Truncate(after);
  to.PatchU32(start, 42);
  EXPECT_EQ(to.size(), 4U);
  EXPECT_EQ(to.Flatten()[3], std::byte{42});
}

TEST(Xdr, LongBitmapIsAcceptedAndNoted) {
  xdr::Encoder to;
  to.Put(uint32_t{4});
  for (uint32_t word : {2U, 0U, 0U, 1U}) to.Put(word);
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder from(bytes);
  xdr::Bitmap bits;
  ASSERT_TRUE(Decode(from, bits));
  EXPECT_TRUE(bits.Has(1));
  EXPECT_TRUE(bits.beyond);
  EXPECT_FALSE(bits.In(xdr::Bitmap{1}));
}

}  // namespace
}  // namespace tarn
