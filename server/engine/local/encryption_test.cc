// Encryption at rest: what the disk tells without the key, and that nothing on it can be changed or
// put elsewhere unnoticed. Locks are in lock_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "server/engine/local/encryption_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::SizeIs;

// A word that is on the disk for no other reason.
std::string Word(const std::string& what) {
  return "q7" + what + "Zx9";
}
const char* const kWhats[] = {"file",  "directory", "realm",  "symlink", "target",
                              "xname", "xvalue",    "inline", "chunk",   "journal"};

class Encryption : public EncryptionFixture {
 protected:
  void Fill();
  std::vector<std::string> Found();
};

// A file system in which each word is where its name says.
void Encryption::Fill() {
  CreateOptions how;
  how.type = FileType::kDirectory;
  FileId directory = Make(top_, Word("directory"), how);
  ASSERT_TRUE(fs_->EnsureRealm("/" + Word("realm"), CreationInfo{}).ok());
  FileId file = Make(directory, Word("file"));
  Write(file, 0, Word("inline"));
  ASSERT_TRUE(fs_->SetXattr(kRoot, file, Word("xname"), Word("xvalue"), XattrMode::kEither).ok());
  how.type = FileType::kSymlink;
  std::string target = "/to/" + Word("target");
  how.symlink_target = target;
  Make(directory, Word("symlink"), how);
  FileId large = Make(directory, "large");
  std::string chunk;
  while (chunk.size() < 900'000) chunk += Word("chunk") + " ";
  Write(large, 0, chunk);
  Write(large, 500'000, Word("journal"));
}

// The words that some file of the data directory holds.
std::vector<std::string> Encryption::Found() {
  std::map<std::string, bool> found;
  for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir)) {
    if (!at.is_regular_file()) continue;
    std::ifstream file(at.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (const char* what : kWhats) {
      if (bytes.find(Word(what)) != std::string::npos) found[what] = true;
    }
  }
  std::vector<std::string> words;
  for (auto& [word, is] : found) words.push_back(word);
  return words;
}

TEST_F(Encryption, TheDiskTellsNothingWhileRunningKilledClosedOrCompacted) {
  for (bool encrypted : {false, true}) {
    directory_ = std::make_unique<TestDirectory>();
    options_.data_dir = directory_->path() + "/data";
    Open(encrypted);
    Fill();
    std::map<std::string, std::vector<std::string>> found;
    found["running"] = Found();
    Kill();
    found["killed"] = Found();
    Open(encrypted);
    MaintainLocalEngine(*engine_);
    ASSERT_EQ(fs_->Check([](std::string_view line) { ADD_FAILURE() << line; }).value(), 0u);
    engine_.reset();
    found["closed"] = Found();
    {
      auto store = Raw();
      std::atomic<bool> stop{false};
      Batch batch(*store);
      batch.Put(Table::kMeta, RecordKey("x"), "");
      ASSERT_TRUE(store->WriteAndSync(batch).ok());
      store->ReclaimSpace(stop);
    }
    found["compacted"] = Found();
    for (auto& [when, words] : found) {
      // So the search finds what is there.
      EXPECT_THAT(words, SizeIs(encrypted ? 0 : std::size(kWhats))) << when;
    }
  }
}

TEST_F(Encryption, RowsAtAnothersPlaceAreErrors) {
  Open();
  FileId one = Make(top_, "one");
  FileId other = Make(top_, "other");
  Write(one, 0, "contents of one");
  Write(other, 0, "contents of other");
  SwapRows(Table::kInline, InodeKey(1, one.inode), InodeKey(1, other.inode));
  Open();
  EXPECT_EQ(Read(one, 0, 100).code(), Code::kCorrupt);
  EXPECT_EQ(Read(other, 0, 100).code(), Code::kCorrupt);
  SwapRows(Table::kInodes, InodeKey(1, one.inode), InodeKey(1, other.inode));
  Open();
  EXPECT_EQ(fs_->GetAttributes(kRoot, one).code(), Code::kCorrupt);
  EXPECT_GT(fs_->Check([](std::string_view) {}).value(), 0u);
}

TEST_F(Encryption, RowsThatAreNotSealedAreErrors) {
  Open();
  FileId file = Make(top_, "one");
  Write(file, 0, "contents");
  {
    auto store = Raw();
    Batch batch(*store);
    batch.Put(Table::kInline, InodeKey(1, file.inode), "forged");
    ASSERT_TRUE(store->WriteAndSync(batch).ok());
  }
  Open();
  EXPECT_EQ(Read(file, 0, 100).code(), Code::kCorrupt);
}

TEST_F(Encryption, BlocksAtAnothersPlaceAreErrors) {
  Open();
  FileId one = MakeLarge("one", 1);
  FileId other = MakeLarge("other", 2);
  engine_.reset();
  std::string path = ChunkPath(one);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::fstream source(ChunkPath(other), std::ios::in | std::ios::binary);
    std::string blocks(4 * kBlock, '\0');
    file.read(blocks.data(), static_cast<std::streamsize>(2 * kBlock));
    file.seekp(0);
    file.write(blocks.data() + kBlock, kBlock);  // 0 and 1 change places
    file.write(blocks.data(), kBlock);
    source.seekg(10 * kBlock);
    source.read(blocks.data(), kBlock);
    file.seekp(10 * kBlock);
    file.write(blocks.data(), kBlock);  // another file's, at the same place
    file.seekp(20 * kBlock);
    file.write(std::string(kBlock, '\0').data(), kBlock);  // as one of Reserve
    file.seekp(30 * kBlock + 7);
    file.write("x", 1);
  }
  Open();
  for (uint64_t block : {0, 1, 10, 20, 30}) {
    EXPECT_EQ(Read(one, block * kBlock, kBlock).code(), Code::kIo) << block;
  }
  EXPECT_EQ(Read(one, 2 * kBlock, kBlock).value(), Pattern(400'000, 1).substr(2 * kBlock, kBlock));
  EXPECT_EQ(Read(other, 0, 400'000).value(), Pattern(400'000, 2));
}

// Nothing that an encrypted file system writes is without one, so it was taken away.
TEST_F(Encryption, BlocksWithoutAChecksumAreErrors) {
  Open();
  FileId file = MakeLarge("one", 1);
  {
    auto store = Raw();
    Batch batch(*store);
    batch.Delete(Table::kSums, SumsKey(1, file.inode, 0, 0));
    ASSERT_TRUE(store->WriteAndSync(batch).ok());
  }
  Open();
  EXPECT_EQ(Read(file, 0, kBlock).code(), Code::kIo);
  auto scrubbed = fs_->Scrub([](uint64_t) { return true; }, [](std::string_view) {});
  EXPECT_GT(scrubbed->problems, 0u);
  EXPECT_EQ(scrubbed->sums_added, 0u);
  EXPECT_EQ(Read(file, 0, kBlock).code(), Code::kIo);
}

TEST_F(Encryption, KeysOfRowsDoNotTellThatANameIsInTwoDirectories) {
  Open();
  CreateOptions how;
  how.type = FileType::kDirectory;
  FileId one = Make(top_, "one", how);
  FileId other = Make(top_, "other", how);
  Make(one, "same");
  Make(other, "same");
  auto store = Raw();
  auto hash_in = [&](FileId directory) {
    std::string prefix = InodeKey(1, directory.inode);
    uint64_t hash = 0;
    EXPECT_TRUE(store
                    ->Scan(Table::kNames, prefix, After(prefix),
                           [&](std::string_view key, auto) {
                             hash = NumberAt(key, prefix.size());
                             return false;
                           })
                    .ok());
    return hash;
  };
  EXPECT_NE(hash_in(one), hash_in(other));
}

TEST_F(Encryption, TheSameKeyForTwoHasNothingInCommon) {
  Open();
  uint32_t other = *engine_->CreateFileSystem(&key_);
  auto store = Raw();
  auto one = DecodeFileSystem(store->Get(Table::kMeta, FileSystemKey(1)).value().value());
  auto two = DecodeFileSystem(store->Get(Table::kMeta, FileSystemKey(other)).value().value());
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(one->salt, two->salt);
  EXPECT_NE(one->key_check, two->key_check);
  EXPECT_NE((*DeriveKeys(key_, *one))->names, (*DeriveKeys(key_, *two))->names);
}

}  // namespace
}  // namespace tarn::local
