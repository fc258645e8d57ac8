// Locks of an encrypted file system: what is served meanwhile, what they end, and what they keep
// nobody from. What callers see over a lock is in the conformance suite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "server/engine/local/encryption_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Locks : public EncryptionFixture {
 protected:
  // Comes back once it counts as locked; the lock itself waits for calls that run.
  std::future<Result<void>> LockMeanwhile() {
    auto locked =
        std::async(std::launch::async, [&] { return engine_->Lock(1, LockReason::kKeyTakenAway); });
    while (!engine_->locked(1)) std::this_thread::yield();
    return locked;
  }

  void ExpectToEndADeallocation(bool encrypted, const std::function<void()>& end);
  void ExpectToEndMovesBetweenRealms(const std::function<void()>& end,
                                     const std::function<void()>& open);
};

// A start, its background work and its end do not need the key.
TEST_F(Locks, AStoreServesWhatIsNotLocked) {
  Open();
  FileId file = MakeLarge("one", 1);
  uint32_t plain = *engine_->CreateFileSystem();
  Kill();
  // A file that no row speaks of is found by the first run that can tell.
  std::string stray = std::filesystem::path(ChunkPath(file)).parent_path().string() + "/77.0";
  std::ofstream(stray) << "stray";
  for (int i = 0; i < 2; ++i) {
    OpenEngine();
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

TEST_F(Locks, ALockClosesItsFiles) {
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
TEST_F(Locks, ALockEndsACheck) {
  Open();
  MakeLarge("damaged", 1);
  for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
    if (at.is_regular_file()) std::filesystem::remove(at.path());
  }
  std::future<Result<void>> locked;
  // Found half-way: sums, journal and realms come later.
  auto checked = fs_->Check([&](std::string_view) { locked = LockMeanwhile(); });
  ASSERT_TRUE(locked.valid()) << "nothing was found";
  EXPECT_EQ(checked.code(), Code::kUnavailable);
  EXPECT_TRUE(locked.get().ok());
}

TEST_F(Locks, ALockEndsAScrubWhichTellsIt) {
  Open();
  MakeLarge("f", 1);
  std::future<Result<void>> locked;
  auto pace = [&](uint64_t) {
    locked = LockMeanwhile();
    return true;
  };
  EXPECT_EQ(fs_->Scrub(pace, [](std::string_view problem) { ADD_FAILURE() << problem; }).code(),
            Code::kDenied);
  EXPECT_TRUE(locked.get().ok());
}

// So may one call on a file of many TiB.
void Locks::ExpectToEndADeallocation(bool encrypted, const std::function<void()>& end) {
  constexpr uint64_t kTiB = uint64_t{1} << 40;
  Open(encrypted);
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

TEST_F(Locks, ALockEndsADeallocation) {
  ExpectToEndADeallocation(true,
                           [&] { EXPECT_TRUE(engine_->Lock(1, LockReason::kKeyTakenAway).ok()); });
}

TEST_F(Locks, TheEndOfTheServerEndsADeallocation) {
  for (bool encrypted : {true, false}) {
    directory_ = std::make_unique<TestDirectory>();
    options_.data_dir = directory_->path() + "/data";
    ExpectToEndADeallocation(encrypted, [&] { engine_->Hurry(); });
    engine_.reset();
  }
}

// Each a directory's into a realm of its own. `end` comes while it runs, now early, now late; after
// `open` the file system serves again.
void Locks::ExpectToEndMovesBetweenRealms(const std::function<void()>& end,
                                          const std::function<void()>& open) {
  constexpr int kFiles = 300;
  constexpr int kMoves = 8;
  int cut = 0;
  for (int round = 0; round < kMoves; ++round) {
    const std::string name = "d" + std::to_string(round);
    CreateOptions how;
    how.type = FileType::kDirectory;
    FileId directory = Make(top_, name, how);
    for (int i = 0; i < kFiles; ++i) Make(directory, std::to_string(i));
    auto made = std::async(std::launch::async, [&] { return fs_->EnsureRealm("/" + name, {}); });
    std::this_thread::sleep_for(std::chrono::microseconds(500 * round));
    end();
    auto realm = made.get();
    if (!realm) {
      EXPECT_EQ(realm.code(), Code::kUnavailable);
      ++cut;
    }
    open();
    realm = fs_->EnsureRealm("/" + name, {});
    ASSERT_TRUE(realm.ok()) << realm.error().ToString();
    EXPECT_EQ(fs_->GetSpace(*realm)->usage.files, static_cast<uint64_t>(kFiles + 1));
    EXPECT_EQ(*fs_->Check([](std::string_view problem) { ADD_FAILURE() << problem; }), 0u);
  }
  EXPECT_GT(cut, 0);
}

// Whatever a lock cuts off is finished by the unlock.
TEST_F(Locks, ALockEndsAMoveBetweenRealms) {
  Open();
  ExpectToEndMovesBetweenRealms(
      [&] { ASSERT_TRUE(engine_->Lock(1, LockReason::kKeyNotThere).ok()); },
      [&] { ASSERT_EQ(engine_->Unlock(1, key_).code(), Code::kOk); });
}

// On a plain file system: the next start finishes it, though the end was a clean one.
TEST_F(Locks, TheEndOfTheServerEndsAMoveBetweenRealms) {
  Open(false);
  ExpectToEndMovesBetweenRealms([&] { engine_->Hurry(); }, [&] { Open(); });
}

// Who deletes one waits for the calls in it; who uses others waits for nobody.
TEST_F(Locks, ADeletionThatWaitsKeepsNoOtherFileSystemWaiting) {
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
TEST_F(Locks, OneThatIsNeverUnlockedLeavesTheOthersACleanEnd) {
  Open();
  FileId file = MakeLarge("f", 1);
  Kill();
  OpenEngine();
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

}  // namespace
}  // namespace tarn::local
