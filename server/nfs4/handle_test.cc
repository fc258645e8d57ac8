#include "server/nfs4/handle.h"

#include <gtest/gtest.h>

namespace tarn::nfs4 {
namespace {

constexpr HandleKey KeyOf(uint8_t first) {
  return {std::byte{first}, std::byte{2}, std::byte{3}};
}

TEST(Handle, NamesTheFileAndIsTheSameEachTime) {
  HandleCodec codec(KeyOf(1));
  HandleFields fields{.file_system = 7, .export_number = 9, .file = {.inode = 11, .generation = 3}};
  HandleBytes bytes = codec.Seal(fields);
  EXPECT_EQ(codec.Open(bytes), fields);
  EXPECT_EQ(HandleCodec(KeyOf(1)).Seal(fields), bytes) << "after a restart";
}

TEST(Handle, EveryForgeryIsRefused) {
  HandleCodec codec(KeyOf(1));
  HandleBytes bytes = codec.Seal({.file_system = 1, .export_number = 2, .file = {3, 4}});
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      HandleBytes forged = bytes;
      forged[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(codec.Open(forged)) << at << "." << bit;
    }
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(codec.Open(xdr::Opaque(bytes).first(size)));
  }
  EXPECT_FALSE(HandleCodec(KeyOf(9)).Open(bytes)) << "of another server";
}

}  // namespace
}  // namespace tarn::nfs4
