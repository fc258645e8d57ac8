// The store: file systems, records, and many threads at once.
#include <atomic>
#include <set>
#include <thread>

#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;

namespace {

// Runs `work(thread)` in `count` threads and waits for all.
void InParallel(int count, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_P(Conformance, FileSystemsAreApart) {
  uint32_t other = *engine().CreateFileSystem();
  FileSystem& two = **engine().GetFileSystem(other);
  MakeFile(top(), "f");
  FileId root = *two.RealmRoot(kRootRealm);
  EXPECT_EQ(two.Lookup(Root(), root, "f").code(), Code::kNoEntry);
  ASSERT_EQ(two.Create(Root(), root, "g", {}).code(), Code::kOk);
  EXPECT_EQ(two.GetSpace(kRootRealm)->usage.files, 2u);
  EXPECT_EQ(fs().Lookup(Root(), top(), "g").code(), Code::kNoEntry);
  ASSERT_EQ(engine().DeleteFileSystem(other).code(), Code::kOk);
  EXPECT_EQ(engine().GetFileSystem(other).code(), Code::kNotFound);
  EXPECT_EQ(engine().DeleteFileSystem(other).code(), Code::kNotFound);
  EXPECT_EQ(engine().GetFileSystem(99'999).code(), Code::kNotFound);
  Restart();
  EXPECT_EQ(engine().GetFileSystem(other).code(), Code::kNotFound);
  uint32_t third = *engine().CreateFileSystem();
  EXPECT_NE(third, other);
  EXPECT_EQ((*engine().GetFileSystem(third))->GetSpace(kRootRealm)->usage.files, 1u);
}

TEST_P(Conformance, RecordsAreOrderedAndDurable) {
  RecordStore& records = engine().records();
  EXPECT_FALSE(records.Get("none")->has_value());
  ASSERT_TRUE(records.Put("fs/2", "two").ok());
  ASSERT_TRUE(records.Put("fs/1", "one").ok());
  ASSERT_TRUE(records.Put("fs/3", std::string("thr\0ee", 6)).ok());
  ASSERT_TRUE(records.Put("ft", "other").ok());
  ASSERT_TRUE(records.Put("fs", "shorter").ok());
  ASSERT_TRUE(records.Put("fs/1", "ONE").ok());
  ASSERT_TRUE(records.Delete("never there").ok());
  auto scan = [&](std::string_view prefix, size_t limit) {
    std::vector<std::string> found;
    auto visit = [&](std::string_view key, std::string_view value) {
      found.push_back(std::string(key) + "=" + std::string(value));
      return found.size() < limit;
    };
    EXPECT_TRUE(engine().records().Scan(prefix, visit).ok());
    return found;
  };
  EXPECT_THAT(scan("fs/", 9), ElementsAre("fs/1=ONE", "fs/2=two", std::string("fs/3=thr\0ee", 11)));
  EXPECT_THAT(scan("fs/", 2), ElementsAre("fs/1=ONE", "fs/2=two"));
  EXPECT_THAT(scan("nothing", 9), ElementsAre());
  Restart();
  EXPECT_EQ(**engine().records().Get("fs/1"), "ONE");
  ASSERT_TRUE(engine().records().Delete("fs/1").ok());
  Restart();
  EXPECT_THAT(scan("fs/", 2), ElementsAre("fs/2=two", std::string("fs/3=thr\0ee", 11)));
}

TEST_P(Conformance, OneOfManyCreatesWins) {
  for (int round = 0; round < 20; ++round) {
    std::string name = "f" + std::to_string(round);
    std::atomic<int> won = 0;
    InParallel(4, [&](int) {
      Code code = CreateCode(Root(), top(), name);
      if (code == Code::kOk) ++won;
      EXPECT_TRUE(code == Code::kOk || code == Code::kExists);
    });
    EXPECT_EQ(won, 1);
  }
}

TEST_P(Conformance, EnsureRealmByManyIsOneRealm) {
  std::vector<RealmId> realms(6);
  InParallel(6, [&](int i) {
    auto realm = fs().EnsureRealm("/deep/down/realm", CreationInfo{});
    if (realm.ok()) realms[static_cast<size_t>(i)] = *realm;
  });
  for (RealmId realm : realms) EXPECT_EQ(realm, realms[0]);
  EXPECT_NE(realms[0], 0u);
}

TEST_P(Conformance, ManyThreadsLeaveASoundFileSystem) {
  RealmId realm = MakeRealm("/shared");
  FileId root = RootOf(realm);
  FileId one = MakeDirectory(root, "one");
  FileId two = MakeDirectory(root, "two");
  InParallel(4, [&](int thread) {
    uint32_t random = static_cast<uint32_t>(thread) * 7919 + 1;
    for (int i = 0; i < 150; ++i) {
      random = random * 1664525 + 1013904223;
      FileId from = (random & 1024) != 0 ? one : two;
      FileId to = (random & 2048) != 0 ? one : two;
      std::string name = "n" + std::to_string((random >> 20) % 12);
      std::string other = "n" + std::to_string((random >> 24) % 12);
      auto found = fs().Lookup(Root(), from, name);
      FileId file = found.ok() ? found->id : FileId{};
      switch ((random >> 12) % 6) {
        case 0:
          (void)CreateCode(Root(), from, name);
          break;
        case 1:
          (void)fs().Remove(Root(), from, name);
          break;
        case 2:
          (void)RenameCode(Root(), from, name, to, other);
          break;
        case 3:
          (void)fs().Link(Root(), file, to, other);
          break;
        case 4:
          (void)WriteCode(Root(), file, (random >> 8) % 100'000, 1 + random % 20'000);
          break;
        default:
          if (fs().Open(Root(), file, true, true).ok()) {
            (void)SetSize(Root(), file, random % 50'000);
            fs().Unpin(file);
          }
      }
    }
  });
  ExpectExactUsage();
  ExpectSound();
  Restart();
}

TEST_P(Conformance, RenamesInCirclesLeaveATree) {
  FileId one = MakeDirectory(top(), "one");
  FileId two = MakeDirectory(top(), "two");
  for (int round = 0; round < 20; ++round) {
    Code codes[2] = {Code::kOk, Code::kOk};
    InParallel(2, [&](int i) {
      codes[i] = i == 0 ? RenameCode(Root(), top(), "one", two, "one")
                        : RenameCode(Root(), top(), "two", one, "two");
    });
    // Whichever came first, the other would close a circle.
    EXPECT_NE(codes[0] == Code::kOk, codes[1] == Code::kOk);
    if (codes[0] == Code::kOk) {
      ASSERT_EQ(RenameCode(Root(), two, "one", top(), "one"), Code::kOk);
    }
    if (codes[1] == Code::kOk) {
      ASSERT_EQ(RenameCode(Root(), one, "two", top(), "two"), Code::kOk);
    }
  }
}

TEST_P(Conformance, WritersOfOneFileDoNotMix) {
  FileId file = MakeFile(top(), "f");
  constexpr size_t kLength = 30'000;
  InParallel(4, [&](int thread) {
    std::string data(kLength, static_cast<char>('a' + thread));
    for (int i = 0; i < 20; ++i) {
      (void)fs().Write(Root(), file, false, 0, BytesOf(data), Stability::kUnstable);
      std::string seen = ReadText(file, 0, kLength);
      if (!seen.empty()) {
        EXPECT_EQ(seen, std::string(kLength, seen[0]));
      }
    }
  });
}

TEST_P(Conformance, QuotaHoldsAgainstManyWriters) {
  RealmId realm = MakeRealm("/realm");
  FileId root = RootOf(realm);
  uint64_t limit = UsageOf(realm).bytes + 1'000'000;
  ASSERT_TRUE(fs().SetQuota(realm, {.bytes_max = limit, .files_max = 12}).ok());
  InParallel(4, [&](int thread) {
    for (int i = 0; i < 8; ++i) {
      auto made = fs().Create(Root(), root, std::to_string(thread * 100 + i), {});
      if (made.ok()) (void)WriteCode(Root(), made->attributes.id, 0, 300'000);
    }
  });
  EXPECT_LE(UsageOf(realm).bytes, limit);
  EXPECT_EQ(UsageOf(realm).files, 12u);
}

}  // namespace tarn::engine::testing
