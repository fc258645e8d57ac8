// Encryption at rest: what the disk tells without the key, and that nothing on it can be changed or
// put elsewhere unnoticed. What callers see over a lock is in the conformance suite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "server/engine/local/integrity_fixture.h"
#include "server/engine/local/store.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A word that is on the disk for no other reason.
std::string Word(const std::string& what) {
  return "q7" + what + "Zx9";
}
const char* const kWhats[] = {"file",  "directory", "realm",  "symlink", "target",
                              "xname", "xvalue",    "inline", "chunk",   "journal"};

class Encryption : public ::testing::Test {
 protected:
  Encryption() {
    options_.data_dir = directory_->path() + "/data";
    options_.journal_apply_after = std::chrono::hours(1);
    options_.own_thread = false;
  }

  // The first time, or again; unlocked if it is encrypted.
  void Open(bool encrypted = true) {
    OpenLocked();
    if (!engine_->GetFileSystem(1).ok()) {
      ASSERT_EQ(*engine_->CreateFileSystem(encrypted ? &key_ : nullptr), 1u);
    }
    if (engine_->encrypted(1)) {
      ASSERT_EQ(engine_->Unlock(1, key_).code(), Code::kOk);
    }
    fs_ = *engine_->GetFileSystem(1);
    ASSERT_TRUE(fs_->ReleaseOrphans().ok());
    top_ = *fs_->RealmRoot(kRootRealm);
  }
  void OpenLocked() {
    engine_.reset();
    auto engine = OpenLocalEngine(options_);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(*engine);
  }
  // What a killed process leaves.
  void Kill() {
    auto next = std::make_unique<TestDirectory>();
    next->CopyFrom(*directory_);
    engine_.reset();
    directory_ = std::move(next);
    options_.data_dir = directory_->path() + "/data";
  }

  FileId Make(FileId directory, const std::string& name, const CreateOptions& how = {}) {
    return fs_->Create(kRoot, directory, name, how).value().attributes.id;
  }
  void Write(FileId file, uint64_t offset, std::string_view text) {
    auto bytes = std::as_bytes(std::span(text));
    ASSERT_TRUE(fs_->Write(kRoot, file, false, offset, bytes, Stability::kFileSync).ok());
  }
  Result<std::string> Read(FileId file, uint64_t offset, size_t length) {
    std::string text(length, '?');
    TRY(auto read, fs_->Read(kRoot, file, false, offset, std::as_writable_bytes(std::span(text))));
    text.resize(read.bytes);
    return text;
  }
  FileId MakeLarge(const std::string& name, uint64_t seed) {
    FileId file = Make(top_, name);
    Write(file, 0, Pattern(400'000, seed));
    return file;
  }
  std::string ChunkPath(FileId file) {
    char name[32];
    std::snprintf(name, sizeof(name), "%llx.0", static_cast<unsigned long long>(file.inode));
    for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
      if (at.path().filename() == name) return at.path();
    }
    return "";
  }

  // The database as it is without any key. The engine is closed.
  std::unique_ptr<Store> Raw() {
    engine_.reset();
    auto store = Store::Open(options_);
    EXPECT_TRUE(store.ok());
    return std::move(*store);
  }
  void SwapRows(Table table, const std::string& one, const std::string& other) {
    auto store = Raw();
    std::string first = store->Get(table, one).value().value();
    std::string second = store->Get(table, other).value().value();
    ASSERT_NE(first, second);
    Batch batch(*store);
    batch.Put(table, one, second);
    batch.Put(table, other, first);
    ASSERT_TRUE(store->WriteAndSync(batch).ok());
  }

  void Fill();
  std::vector<std::string> Found();
  void ExpectToEndADeallocation(const std::function<void()>& end);

  const SecretBytes key_{std::string(kKeyBytes, 'k')};
  std::unique_ptr<TestDirectory> directory_ = std::make_unique<TestDirectory>();
  LocalOptions options_;
  std::unique_ptr<Engine> engine_;
  FileSystem* fs_ = nullptr;
  FileId top_;
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

// A start, its background work and its end do not need the key.
TEST_F(Encryption, AStoreServesWhatIsNotLocked) {
  Open();
  FileId file = MakeLarge("one", 1);
  uint32_t plain = *engine_->CreateFileSystem();
  Kill();
  // A file that no row speaks of is found by the first run that can tell.
  std::string stray = std::filesystem::path(ChunkPath(file)).parent_path().string() + "/77.0";
  std::ofstream(stray) << "stray";
  for (int i = 0; i < 2; ++i) {
    OpenLocked();
    MaintainLocalEngine(*engine_);
    FileSystem& other = **engine_->GetFileSystem(plain);
    EXPECT_TRUE(other.RealmRoot(kRootRealm).ok());
    auto tables = engine_->ScrubTables([](uint64_t) { return true; }, [](std::string_view) {});
    EXPECT_EQ(tables->problems, 0u);
    EXPECT_TRUE(std::filesystem::exists(stray));
  }
  Open();
  MaintainLocalEngine(*engine_);
  EXPECT_FALSE(std::filesystem::exists(stray));
  EXPECT_EQ(Read(file, 0, 400'000).value(), Pattern(400'000, 1));
}

TEST_F(Encryption, ALockClosesItsFiles) {
  Open();
  MakeLarge("one", 1);
  auto open_files = [&] {
    std::vector<std::string> open;
    for (auto& at : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      std::string target = std::filesystem::read_symlink(at.path(), gone);
      if (target.starts_with(options_.data_dir + "/chunks/")) open.push_back(target);
    }
    return open;
  };
  EXPECT_THAT(open_files(), SizeIs(1));
  ASSERT_TRUE(engine_->Lock(1, LockReason::kKeyTakenAway).ok());
  EXPECT_THAT(open_files(), IsEmpty());
}

// A check of a large file system may take hours, and a key that is taken away ends I/O in a minute.
TEST_F(Encryption, ALockEndsACheck) {
  Open();
  MakeLarge("damaged", 1);
  for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
    if (at.is_regular_file()) std::filesystem::remove(at.path());
  }
  std::future<Result<void>> locked;
  // Found half-way: sums, journal and realms come later.
  auto checked = fs_->Check([&](std::string_view) {
    locked =
        std::async(std::launch::async, [&] { return engine_->Lock(1, LockReason::kKeyTakenAway); });
    while (!engine_->locked(1)) std::this_thread::yield();
  });
  ASSERT_TRUE(locked.valid()) << "nothing was found";
  EXPECT_EQ(checked.code(), Code::kUnavailable);
  EXPECT_TRUE(locked.get().ok());
}

TEST_F(Encryption, ALockEndsAScrubWhichTellsIt) {
  Open();
  MakeLarge("f", 1);
  std::future<Result<void>> locked;
  auto pace = [&](uint64_t) {
    locked =
        std::async(std::launch::async, [&] { return engine_->Lock(1, LockReason::kKeyTakenAway); });
    while (!engine_->locked(1)) std::this_thread::yield();
    return true;
  };
  EXPECT_EQ(fs_->Scrub(pace, [](std::string_view problem) { ADD_FAILURE() << problem; }).code(),
            Code::kDenied);
  EXPECT_TRUE(locked.get().ok());
}

// So may one call on a file of many TiB.
void Encryption::ExpectToEndADeallocation(const std::function<void()>& end) {
  constexpr uint64_t kTiB = uint64_t{1} << 40;
  Open();
  FileId file = MakeLarge("f", 1);
  AttributeChange large;
  large.size = 40 * kTiB;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, large).ok());
  auto punched = std::async(std::launch::async,
                            [&] { return fs_->Deallocate(kRoot, file, false, 0, 40 * kTiB); });
  while (fs_->GetAttributes(kRoot, file)->space_used > 0) std::this_thread::yield();
  end();
  EXPECT_EQ(punched.get().code(), Code::kUnavailable);
  Open();
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->size, 40 * kTiB);
  EXPECT_EQ(*fs_->Check([](std::string_view problem) { ADD_FAILURE() << problem; }), 0u);
}

TEST_F(Encryption, ALockEndsADeallocation) {
  ExpectToEndADeallocation([&] { EXPECT_TRUE(engine_->Lock(1, LockReason::kKeyTakenAway).ok()); });
}

TEST_F(Encryption, TheEndOfTheServerEndsADeallocation) {
  ExpectToEndADeallocation([&] { engine_->Hurry(); });
}

// Whatever a lock cuts off is finished by the unlock.
TEST_F(Encryption, ALockEndsAMoveBetweenRealms) {
  constexpr int kFiles = 300;
  constexpr int kRounds = 8;
  Open();
  int cut = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "d" + std::to_string(round);
    CreateOptions how;
    how.type = FileType::kDirectory;
    FileId directory = Make(top_, name, how);
    for (int i = 0; i < kFiles; ++i) Make(directory, std::to_string(i));
    auto made = std::async(std::launch::async, [&] { return fs_->EnsureRealm("/" + name, {}); });
    std::this_thread::sleep_for(std::chrono::microseconds(500 * round));
    ASSERT_TRUE(engine_->Lock(1, LockReason::kKeyNotThere).ok());
    auto realm = made.get();
    if (!realm) {
      EXPECT_EQ(realm.code(), Code::kUnavailable);
      ++cut;
    }
    ASSERT_EQ(engine_->Unlock(1, key_).code(), Code::kOk);
    realm = fs_->EnsureRealm("/" + name, {});
    ASSERT_TRUE(realm.ok()) << realm.error().ToString();
    EXPECT_EQ(fs_->GetSpace(*realm)->usage.files, static_cast<uint64_t>(kFiles + 1));
    EXPECT_EQ(*fs_->Check([](std::string_view problem) { ADD_FAILURE() << problem; }), 0u);
  }
  EXPECT_GT(cut, 0);
}

// Who deletes one waits for the calls in it; who uses others waits for nobody.
TEST_F(Encryption, ADeletionThatWaitsKeepsNoOtherFileSystemWaiting) {
  Open();
  uint32_t other = *engine_->CreateFileSystem(nullptr);
  Make(top_, "f");
  std::promise<void> inside;
  std::promise<void> leave;
  auto listed = std::async(std::launch::async, [&] {
    return fs_->ReadDirectory(kRoot, top_, 0, false, [&](const auto&) {
      inside.set_value();
      leave.get_future().wait();
      return true;
    });
  });
  inside.get_future().wait();
  auto deleted = std::async(std::launch::async, [&] { return engine_->DeleteFileSystem(1); });
  while (fs_->GetSpace(kRootRealm).ok()) std::this_thread::yield();
  auto used = std::async(std::launch::async, [&] { return engine_->GetFileSystem(other).ok(); });
  bool in_time = used.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  EXPECT_TRUE(in_time);
  EXPECT_NE(deleted.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  leave.set_value();
  EXPECT_TRUE(listed.get().ok());
  EXPECT_TRUE(deleted.get().ok());
  EXPECT_TRUE(used.get());
}

// One of which nobody has the key any more must not make each end an unclean one for all others.
TEST_F(Encryption, OneThatIsNeverUnlockedLeavesTheOthersACleanEnd) {
  Open();
  FileId file = MakeLarge("f", 1);
  Kill();
  OpenLocked();
  engine_.reset();
  {
    auto store = Store::Open(options_);
    ASSERT_TRUE(store.ok());
    EXPECT_TRUE((*store)->Get(Table::kMeta, CleanKey())->has_value());
  }
  // What the crash left of it is still looked after, when its key is there.
  std::string chunk;
  for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
    if (at.is_regular_file()) chunk = at.path();
  }
  const std::string stray = std::filesystem::path(chunk).parent_path() / "3ff.0";
  std::filesystem::copy_file(chunk, stray);
  Open();
  MaintainLocalEngine(*engine_);
  EXPECT_FALSE(std::filesystem::exists(stray));
  EXPECT_EQ(*Read(file, 0, 100), Pattern(400'000, 1).substr(0, 100));
  // And only once.
  engine_.reset();
  std::filesystem::copy_file(chunk, stray);
  Open();
  MaintainLocalEngine(*engine_);
  EXPECT_TRUE(std::filesystem::exists(stray));
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
