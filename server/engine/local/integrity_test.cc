// Data at rest: a flipped bit is an error and never wrong bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/engine/local/integrity_fixture.h"
#include "server/engine/local/local_file_system.h"
#include "server/engine/local/store.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(Integrity, AFlippedBitIsAnErrorOfThatBlockAlone) {
  std::string text = Pattern(1'000'000, 1);
  FileId file = Make("file");
  FileId other = Make("other");
  Write(file, 0, text);
  Write(other, 0, text);
  Commit(file);
  Commit(other);
  EXPECT_THAT(Scrub(), IsEmpty());
  std::string path = ChunkPath(file);
  std::mt19937_64 random(7);
  for (int round = 0; round < 40; ++round) {
    // The chunk file ends at a block's end: behind the file's end too.
    uint64_t offset = random() % std::filesystem::file_size(path);
    int bit = static_cast<int>(random() % 8);
    uint64_t block = offset / kBlock * kBlock;
    Flip(path, offset, bit);
    auto read = Read(file, std::min<uint64_t>(offset, text.size() - 1), 1);
    ASSERT_EQ(read.code(), Code::kIo);
    EXPECT_THAT(read.error().message(),
                AllOf(HasSubstr("inode " + std::to_string(file.inode)),
                      HasSubstr("offset " + std::to_string(block)), HasSubstr(path)));
    EXPECT_EQ(Read(file, 0, text.size()).code(), Code::kIo);
    EXPECT_EQ(*Read(file, 0, block), text.substr(0, block));
    if (block + kBlock < text.size()) {
      EXPECT_EQ(*Read(file, block + kBlock, text.size()), text.substr(block + kBlock));
    }
    EXPECT_EQ(*Read(other, 0, text.size()), text);
    EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("offset " + std::to_string(block))));
    Flip(path, offset, bit);
    ASSERT_EQ(*Read(file, 0, text.size()), text);
  }
}

TEST_F(Integrity, DamageIsNotSealedByWritingBesideIt) {
  std::string text = Pattern(300'000, 2);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  Flip(ChunkPath(file), 2 * kBlock + 17, 3);
  // A part of the block, small and large.
  std::string small(100, 'x');
  std::string large(200'000, 'y');
  EXPECT_EQ(fs_->Write(kRoot, file, false, 2 * kBlock + 200, std::as_bytes(std::span(small)),
                       Stability::kFileSync)
                .code(),
            Code::kIo);
  EXPECT_EQ(fs_->Write(kRoot, file, false, 2 * kBlock + 200, std::as_bytes(std::span(large)),
                       Stability::kFileSync)
                .code(),
            Code::kIo);
  EXPECT_EQ(Read(file, 2 * kBlock, 1).code(), Code::kIo);
  // The whole block heals it.
  std::string block(kBlock, 'z');
  Write(file, 2 * kBlock, block, Stability::kFileSync);
  text.replace(2 * kBlock, kBlock, block);
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  Close();
  Open();
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  EXPECT_THAT(Scrub(), IsEmpty());
}

TEST_F(Integrity, OlderDataIsReadAndAScrubAddsSums) {
  std::string text = Pattern(500'000, 12);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  Close();
  {
    auto store = Store::Open(options_);
    ASSERT_TRUE(store.ok());
    Batch batch(**store);
    batch.DeleteRange(Table::kSums, std::string(4, '\0'), std::string(4, '\xff'));
    ASSERT_TRUE((*store)->WriteAndSync(batch).ok());
  }
  std::ofstream(options_.data_dir + "/format") << "1\n";
  Open();
  std::string part(kBlock, 'p');
  Write(file, 10 * kBlock, part, Stability::kFileSync);
  text.replace(10 * kBlock, kBlock, part);
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  Close();
  Open();
  ScrubCounts counts;
  EXPECT_THAT(Scrub(&counts), IsEmpty());
  EXPECT_EQ(counts.sums_added, (text.size() + kBlock - 1) / kBlock - 1) << "one was written anew";
  EXPECT_GE(counts.bytes, text.size());
  EXPECT_THAT(Scrub(&counts), IsEmpty());
  EXPECT_EQ(counts.sums_added, 0u);
  Flip(ChunkPath(file), 400'000, 2);
  EXPECT_EQ(Read(file, 400'000, 1).code(), Code::kIo);
  std::string version;
  std::ifstream(options_.data_dir + "/format") >> version;
  EXPECT_EQ(version, std::to_string(kFormatVersion));
}

// Every clone tells it, at the place where it has the block; what one of them wrote since is right.
TEST_F(Integrity, AFlippedBitInASharedBlockIsAnErrorOfEachClone) {
  std::string text = Pattern(600'000, 13);
  FileId source = Make("source");
  Write(source, 0, text);
  Commit(source);
  std::string path = ChunkPath(source);
  FileId whole = Make("whole");
  FileId part = Make("part");
  ASSERT_TRUE(fs_->Clone(kRoot, {.file = source}, {.file = whole}, 0).ok());
  DataPlace from{.file = source, .offset = 25 * kBlock};
  DataPlace to{.file = part, .offset = 60 * kBlock};
  ASSERT_TRUE(fs_->Clone(kRoot, from, to, 80 * kBlock).ok());
  std::string block(kBlock, 'w');
  Write(whole, 31 * kBlock, block, Stability::kFileSync);
  Close();
  Open();
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(Scrub(), IsEmpty());
  Flip(path, 30 * kBlock + 99, 1);
  Flip(path, 31 * kBlock + 99, 1);
  auto expect_damage = [&](FileId file, uint64_t at) {
    auto read = Read(file, at, 10);
    ASSERT_EQ(read.code(), Code::kIo);
    EXPECT_THAT(read.error().message(),
                AllOf(HasSubstr("file system 1: inode " + std::to_string(file.inode) + ":"),
                      HasSubstr("offset " + std::to_string(at)), HasSubstr(path)));
  };
  expect_damage(source, 30 * kBlock);
  expect_damage(source, 31 * kBlock);
  expect_damage(whole, 30 * kBlock);
  EXPECT_EQ(*Read(whole, 31 * kBlock, kBlock), block);
  expect_damage(part, 65 * kBlock);
  expect_damage(part, 66 * kBlock);
  EXPECT_EQ(*Read(part, 67 * kBlock, 73 * kBlock), text.substr(32 * kBlock, 73 * kBlock));
  // A write of a part of a shared block makes it its own, from what is read.
  std::string few(10, 'f');
  auto written = fs_->Write(kRoot, part, false, 65 * kBlock + 5, std::as_bytes(std::span(few)),
                            Stability::kFileSync);
  EXPECT_EQ(written.code(), Code::kIo);
  EXPECT_EQ(Scrub().size(), 5u);
  Write(part, 65 * kBlock, std::string(kBlock, 'n'), Stability::kFileSync);
  EXPECT_EQ(Scrub().size(), 4u);
}

TEST_F(Integrity, SumsGoWithTheirFiles) {
  std::string text = Pattern(9u << 20, 14);
  for (const char* name : {"removed", "cut", "punched", "cloned", "small"}) {
    FileId file = Make(name);
    Write(file, 0, name == std::string_view("small") ? text.substr(0, 50'000) : text);
    Commit(file);
  }
  auto id = [&](const char* name) { return fs_->Lookup(kRoot, top_, name)->id; };
  FileId clone = Make("clone");
  ASSERT_TRUE(fs_->Clone(kRoot, {.file = id("cloned")}, {.file = clone}, 0).ok());
  AttributeChange cut;
  cut.size = 4096 * 40;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, id("cut"), cut).ok());
  ASSERT_TRUE(fs_->Deallocate(kRoot, id("punched"), false, 0, 9u << 20).ok());
  EXPECT_THAT(Check(), IsEmpty());
  for (const char* name : {"removed", "cut", "small", "cloned", "clone"}) {
    ASSERT_TRUE(fs_->Remove(kRoot, top_, name).ok());
  }
  for (int i = 0; i < 1000 && !ChunkFilesLeft().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_THAT(ChunkFilesLeft(), IsEmpty());
  EXPECT_THAT(Check(), IsEmpty());
  Close();
  auto store = Store::Open(options_);
  ASSERT_TRUE(store.ok());
  size_t rows = 0;
  ASSERT_TRUE((*store)->Scan(Table::kSums, "", "", [&](auto, auto) { return ++rows > 0; }).ok());
  EXPECT_EQ(rows, 0u);
}

TEST_F(Integrity, FsckSeesSumsAndImagesThatBelongToNothing) {
  FileId file = Make("file");
  Write(file, 0, Pattern(100'000, 15), Stability::kFileSync);
  uint64_t inode = file.inode;
  Close();
  {
    auto store = Store::Open(options_);
    ASSERT_TRUE(store.ok());
    Batch batch(**store);
    std::string image = EncodeImage(std::make_shared<BlockImage::element_type>());
    RegionSums sums;
    batch.Put(Table::kSums, SumsKey(1, inode + 1000, 0, 2), sums.Encode());
    batch.Put(Table::kSums, SumsKey(1, inode, 0, kChunkRegions), sums.Encode());
    batch.Put(Table::kSums, SumsKey(1, inode, 0, 3), "broken");
    batch.Put(Table::kJournal, JournalKey(1, inode, 0, kChunkBlocks + 1), image);
    batch.Put(Table::kJournal, JournalKey(1, inode, 0, 1), "broken");
    ASSERT_TRUE((*store)->WriteAndSync(batch).ok());
  }
  Open();
  EXPECT_TRUE(Read(file, 0, 100'000).ok());
  EXPECT_THAT(Check(),
              testing::UnorderedElementsAre(
                  AllOf(HasSubstr("inode " + std::to_string(inode + 1000)), HasSubstr("region 2"),
                        HasSubstr("nobody uses")),
                  HasSubstr("lie outside"), HasSubstr("region 3 of chunk file 0 cannot be"),
                  HasSubstr("is not in the chunk's map"),
                  HasSubstr("a block in the journal cannot be understood")));
}

TEST_F(Integrity, DamageAndVerifiedBlocksAreCounted) {
  FileId file = Make("file");
  Write(file, 0, Pattern(400'000, 16));
  Commit(file);
  EngineCounters before = engine_->counters();
  ASSERT_TRUE(Read(file, 0, 400'000).ok());
  EXPECT_EQ(engine_->counters().blocks_verified - before.blocks_verified, 98u);
  EXPECT_EQ(engine_->counters().damaged, before.damaged);
  Flip(ChunkPath(file), 50'000, 0);
  EXPECT_FALSE(Read(file, 0, 400'000).ok());
  EXPECT_EQ(engine_->counters().damaged, before.damaged + 1);
}

// The database's own checksums.
TEST_F(Integrity, AFlippedBitInATableIsAnError) {
  std::vector<FileId> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(Make("file" + std::to_string(i)));
    Write(files.back(), 0, Pattern(9000, static_cast<uint64_t>(i)), Stability::kFileSync);
  }
  Close();
  Open();  // which wrote the tables
  Close();
  std::string largest;
  for (auto& entry : std::filesystem::directory_iterator(options_.data_dir + "/meta")) {
    if (entry.path().extension() != ".sst") continue;
    if (largest.empty() || entry.file_size() > std::filesystem::file_size(largest)) {
      largest = entry.path();
    }
  }
  ASSERT_FALSE(largest.empty());
  Flip(largest, std::filesystem::file_size(largest) / 3, 4);
  Open();
  size_t good = 0;
  size_t bad = 0;
  for (int i = 0; i < 200; ++i) {
    auto read = Read(files[static_cast<size_t>(i)], 0, 9000);
    if (read) {
      EXPECT_EQ(*read, Pattern(9000, static_cast<uint64_t>(i)));
    }
    (read.ok() ? good : bad)++;
  }
  EXPECT_GE(bad, 1u);
  EXPECT_GE(good, 190u);
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr(largest)));
}

}  // namespace
}  // namespace tarn::local
