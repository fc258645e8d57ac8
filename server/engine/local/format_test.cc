#include "server/engine/local/format.h"

#include <gtest/gtest.h>

#include <random>

#include "server/engine/local/chunk_map.h"

namespace tarn::local {
namespace {

TEST(LocalFormat, RecordsComeBack) {
  InodeRecord inode;
  inode.type = vfs::FileType::kSymlink;
  inode.mode = 07777;
  inode.size = vfs::kFileBytesMax;
  inode.modify_time = {-5, 999'999'999};
  inode.generation = ~uint64_t{0};
  inode.has_verifier = true;
  inode.verifier = 77;
  auto back = DecodeInode(Encode(inode));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(Encode(*back), Encode(inode));
  EXPECT_EQ(back->Footprint(), 0u);
  inode.xattrs = 3;
  inode.xattr_bytes = 1000;
  back = DecodeInode(Encode(inode));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(Encode(*back), Encode(inode));
  EXPECT_EQ(back->Footprint(), 1000u);
  XattrRecord xattr{std::string(vfs::kXattrNameBytesMax, 'n'), std::string("\0v", 2)};
  EXPECT_EQ(DecodeXattr(Encode(xattr))->name, xattr.name);
  EXPECT_EQ(DecodeXattr(Encode(xattr))->value, xattr.value);
  NameRecord name{5, 6, vfs::FileType::kFifo, "\xff name"};
  EXPECT_EQ(DecodeName(Encode(name))->name, name.name);
  RealmRecord realm;
  realm.state = RealmState::kDying;
  realm.quota = {1, 2};
  EXPECT_EQ(DecodeRealm(Encode(realm))->quota.files_max, 2u);
  EXPECT_EQ(DecodeUsage(Encode(UsageDelta{-3, 4}))->bytes, -3);
  EXPECT_EQ(*DecodeNumber(EncodeNumber(9)), 9u);
}

TEST(LocalFormat, NoBytesAreTooBad) {
  std::mt19937 random(7);
  std::string seed = Encode(InodeRecord());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = i % 2 == 0 ? seed : std::string(random() % 300, '\0');
    for (size_t k = 0; k < 3 && !bytes.empty(); ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    (void)DecodeInode(bytes);
    (void)DecodeName(bytes);
    (void)DecodeRealm(bytes);
    (void)DecodeFileSystem(bytes);
    (void)DecodeReplay(bytes);
    (void)DecodeXattr(bytes);
    (void)DecodeUsage(bytes);
    (void)ChunkMap::Decode(bytes);
  }
}

TEST(LocalFormat, KeysSortAsNumbers) {
  EXPECT_LT(NameKey(1, 2, 255), NameKey(1, 2, 256));
  EXPECT_LT(NameKey(1, 2, ~uint64_t{0}), NameKey(1, 3, 0));
  EXPECT_LT(InodeKey(1, ~uint64_t{0}), InodeKey(2, 0));
  EXPECT_EQ(NumberAt(ChunkKey(1, 2, 3), 12), 3u);
  EXPECT_EQ(After("a\xff"), "b");
  EXPECT_EQ(After("\xff\xff"), "");
}

// The reference vectors of SipHash-2-4: key 00..0f, messages 00..n-1.
TEST(LocalFormat, HashIsSipHash) {
  const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(HashName(key, ""), 0x726fdb47dd0e0e31u);
  std::string message;
  for (char c = 0; c < 15; ++c) message.push_back(c);
  EXPECT_EQ(HashName(key, message), 0xa129ca6149be45e5u);
}

TEST(ChunkMap, IsASetOfBlocks) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    ChunkMap map;
    std::vector<bool> model(kChunkBlocks);
    for (int i = 0; i < 40; ++i) {
      uint64_t first = random() % 700;
      uint64_t after = first + random() % 200;
      bool set = random() % 3 != 0;
      uint64_t changed = 0;
      for (uint64_t b = first; b < after; ++b) {
        changed += model[b] != set ? 1 : 0;
        model[b] = set;
      }
      ASSERT_EQ(set ? map.Set(first, after) : map.Clear(first, after), changed);
    }
    uint64_t end = 0;
    uint64_t count = 0;
    for (uint64_t b = 0; b < 1000; ++b) {
      ASSERT_EQ(map.Has(b), model[b]);
      uint64_t run = 1;
      while (b + run < 1000 && model[b + run] == model[b]) ++run;
      ASSERT_EQ(map.Run(b, 1000), run) << b;
      end = model[b] ? b + 1 : end;
      count += model[b] ? 1 : 0;
    }
    EXPECT_EQ(map.End(), end);
    EXPECT_EQ(map.Count(0, kChunkBlocks), count);
    auto back = ChunkMap::Decode(map.Encode());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->Encode(), map.Encode());
    EXPECT_EQ(back->Count(0, kChunkBlocks), count);
  }
}

}  // namespace
}  // namespace tarn::local
