// Encrypted file systems: keys, and what callers see over a lock.
#include <atomic>
#include <thread>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

SecretBytes OtherKey() {
  return SecretBytes(std::string(kKeyBytes, 'x'));
}

}  // namespace

TEST_P(LockConformance, OnlyEncryptedOnesLockAndUnlock) {
  uint32_t plain = *engine().CreateFileSystem();
  EXPECT_TRUE(engine().encrypted(number()));
  EXPECT_FALSE(engine().locked(number()));
  EXPECT_FALSE(engine().encrypted(plain));
  EXPECT_FALSE(engine().locked(plain));
  EXPECT_FALSE(engine().encrypted(99'999));
  EXPECT_EQ(engine().Unlock(plain, key()).code(), Code::kInvalid);
  EXPECT_EQ(engine().Lock(plain, LockReason::kKeyTakenAway).code(), Code::kInvalid);
  EXPECT_EQ(engine().Unlock(99'999, key()).code(), Code::kNotFound);
  EXPECT_EQ(engine().Lock(99'999, LockReason::kKeyTakenAway).code(), Code::kNotFound);
  SecretBytes half(std::string(kKeyBytes / 2, 'h'));
  EXPECT_EQ(engine().CreateFileSystem(&half).code(), Code::kInvalid);
  EXPECT_EQ((*engine().GetFileSystem(plain))->RealmRoot(kRootRealm).code(), Code::kOk);
}

TEST_P(LockConformance, IsLockedAfterAStartAndRefusesAnotherKey) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "kept");
  RestartLocked();
  EXPECT_TRUE(engine().encrypted(number()));
  EXPECT_TRUE(engine().locked(number()));
  EXPECT_EQ(fs().RealmRoot(kRootRealm).code(), Code::kUnavailable);
  EXPECT_EQ(fs().GetAttributes(Root(), file).code(), Code::kUnavailable);
  EXPECT_EQ(engine().Unlock(number(), OtherKey()).code(), Code::kInvalid);
  EXPECT_EQ(engine().Unlock(number(), SecretBytes("short")).code(), Code::kInvalid);
  EXPECT_TRUE(engine().locked(number()));
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_FALSE(engine().locked(number()));
  EXPECT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_EQ(engine().Unlock(number(), OtherKey()).code(), Code::kInvalid);
  EXPECT_EQ(ReadText(file), "kept");
  ASSERT_EQ(fs().ReleaseOrphans().code(), Code::kOk);
}

TEST_P(LockConformance, AnswersSayWhyItIsLocked) {
  FileId file = MakeFile(top(), "f");
  WriteText(file, 0, "kept");
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyTakenAway).code(), Code::kOk);
  EXPECT_EQ(fs().Lookup(Root(), top(), "f").code(), Code::kDenied);
  EXPECT_EQ(WriteCode(Root(), file, 0, 10), Code::kDenied);
  std::byte buffer[10];
  EXPECT_EQ(fs().Read(Root(), file, true, 0, buffer).code(), Code::kDenied);
  EXPECT_EQ(fs().Check([](std::string_view) {}).code(), Code::kDenied);
  EXPECT_EQ(fs().Scrub([](uint64_t) { return true; }, [](std::string_view) {}).code(),
            Code::kDenied);
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
  EXPECT_EQ(fs().Lookup(Root(), top(), "f").code(), Code::kUnavailable);
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_EQ(ReadText(file), "kept");
}

TEST_P(LockConformance, UnstableWritesAreKept) {
  FileId small = MakeFile(top(), "small");
  FileId large = MakeFile(top(), "large");
  std::string text = Pattern(100'000, 7);
  WriteText(small, 0, "not committed", Stability::kUnstable);
  WriteText(large, 0, text, Stability::kUnstable);
  WriteText(large, 5000, "journal", Stability::kUnstable);
  text.replace(5000, 7, "journal");
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_EQ(ReadText(small), "not committed");
  EXPECT_EQ(ReadText(large, 0, text.size()), text);
}

TEST_P(LockConformance, OpenFilesStayOpen) {
  FileId unlinked = MakeFile(top(), "unlinked");
  FileId closed = MakeFile(top(), "closed");
  WriteText(unlinked, 0, "still here");
  for (FileId file : {unlinked, unlinked, closed}) ASSERT_EQ(fs().Pin(file).code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "unlinked").code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "closed").code(), Code::kOk);
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
  fs().Unpin(closed);
  fs().Unpin(unlinked);
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_EQ(ReadText(unlinked), "still here");
  fs().Unpin(unlinked);
  EXPECT_EQ(fs().GetAttributes(Root(), unlinked).code(), Code::kStale);
  EXPECT_EQ(fs().GetAttributes(Root(), closed).code(), Code::kStale);
}

TEST_P(LockConformance, OrphansOfTheLastRunWaitForTheirClientsOverALock) {
  FileId file = MakeFile(top(), "f");
  FileId other = MakeFile(top(), "g");
  WriteText(file, 0, "open");
  for (FileId id : {file, other}) ASSERT_EQ(fs().Pin(id).code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "f").code(), Code::kOk);
  ASSERT_EQ(fs().Remove(Root(), top(), "g").code(), Code::kOk);
  RestartInGrace();
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  ASSERT_EQ(fs().Pin(file).code(), Code::kOk);  // reclaimed
  ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
  EXPECT_EQ(fs().ReleaseOrphans().code(), Code::kOk);
  ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
  EXPECT_EQ(ReadText(file), "open");
  EXPECT_EQ(fs().GetAttributes(Root(), other).code(), Code::kStale);
  fs().Unpin(file);
  EXPECT_EQ(fs().GetAttributes(Root(), file).code(), Code::kStale);
}

TEST_P(LockConformance, IsDeletedWhileLocked) {
  SecretBytes other_key = OtherKey();
  uint32_t other = *engine().CreateFileSystem(&other_key);
  FileSystem& files = **engine().GetFileSystem(other);
  ASSERT_EQ(engine().Lock(other, LockReason::kKeyTakenAway).code(), Code::kOk);
  ASSERT_EQ(engine().DeleteFileSystem(other).code(), Code::kOk);
  EXPECT_EQ(files.RealmRoot(kRootRealm).code(), Code::kStale);
  EXPECT_EQ(engine().Unlock(other, other_key).code(), Code::kNotFound);
  Restart();
  EXPECT_EQ(engine().Unlock(other, other_key).code(), Code::kNotFound);
}

// Every write that was answered is there, and none is half there.
TEST_P(LockConformance, LocksAndUnlocksUnderLoad) {
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  std::vector<FileId> files;
  std::array<std::atomic<int>, kThreads> done{};
  for (int i = 0; i < kThreads; ++i) files.push_back(MakeFile(top(), "f" + std::to_string(i)));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auto at = static_cast<size_t>(i);
      for (int n = 1; !stop; ++n) {
        std::string text(20'000, static_cast<char>('a' + n % 26));
        for (bool again = true; again && !stop;) {
          auto written =
              fs().Write(Root(), files[at], false, 0, BytesOf(text), Stability::kFileSync);
          again = written.code() == Code::kUnavailable;
          ASSERT_TRUE(again || written.ok()) << written.error().ToString();
          if (written.ok()) done[at] = n;
        }
        auto found = fs().Lookup(Root(), top(), "f0");
        ASSERT_TRUE(found.ok() || found.code() == Code::kUnavailable);
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(engine().Lock(number(), LockReason::kKeyNotThere).code(), Code::kOk);
    ASSERT_EQ(engine().Unlock(number(), key()).code(), Code::kOk);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < kThreads; ++i) {
    if (done[i] == 0) continue;
    EXPECT_EQ(ReadText(files[i], 0, 20'000),
              std::string(20'000, static_cast<char>('a' + done[i] % 26)));
  }
}

}  // namespace tarn::engine::testing
