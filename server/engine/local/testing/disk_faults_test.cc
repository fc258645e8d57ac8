// A disk that fails and is well again: what the engine says meanwhile, and afterwards.
#include <cerrno>
#include <thread>

#include "server/engine/local/testing/disk_faults_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

// Every call on the way to the disk of the database fails for a while, one kind at a time.
TEST_F(DiskFaults, TheDatabaseComesBackByItself) {
  std::vector<std::string> made;
  for (Kind kind : {Kind::kSync, Kind::kWrite, Kind::kSyncDirectory, Kind::kOpen, Kind::kRename}) {
    std::string name = "k" + std::to_string(static_cast<int>(kind)) + "-";
    failures_ = 0;
    Break(EIO, [kind](auto& call) {
      return call.kind == kind && call.path.find("/meta") != std::string::npos &&
             call.path.find("LOCK") == std::string::npos;
    });
    // Until it notices, then some more.
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    bool refused = false;
    for (int i = 0; !refused && std::chrono::steady_clock::now() < end; ++i) {
      auto created = fs_->Create(kRoot, top_, name + std::to_string(i), {});
      if (created) made.push_back(name + std::to_string(i));
      refused = !created;
      if (refused) {
        EXPECT_EQ(created.code(), Code::kIo) << created.error().ToString();
      }
    }
    if (kind == Kind::kSync || kind == Kind::kWrite) {
      EXPECT_TRUE(refused);
    }
    ExpectKept();
    Heal();
    ASSERT_TRUE(ServesAgain("again" + name)) << "after failures of kind " << static_cast<int>(kind);
  }
  ExpectSound(made);
}

// A compaction that cannot open or read the tables that it merges.
TEST_F(DiskFaults, TheDatabaseComesBackAfterTablesThatCouldNotBeRead) {
  std::vector<std::string> made;
  for (Kind kind : {Kind::kOpen, Kind::kRead}) {
    std::string name = std::string(150, 't') + std::to_string(static_cast<int>(kind)) + "-";
    failures_ = 0;
    Break(EIO, [kind](auto& call) { return call.kind == kind && call.path.ends_with(".sst"); });
    // Enough for tables of level 0 to be merged, again and again.
    for (int i = 0; i < 3000; ++i) {
      if (fs_->Create(kRoot, top_, name + std::to_string(i), {})) {
        made.push_back(name + std::to_string(i));
      }
    }
    EXPECT_GT(failures_, 0u);
    Heal();
    ASSERT_TRUE(ServesAgain("again" + name)) << "after failures of kind " << static_cast<int>(kind);
  }
  ExpectSound(made);
}

// The tables can be written, so that each attempt begins another log, and that one fails again
// before anything was written to it.
TEST_F(DiskFaults, LogsThatFailOneAfterTheOtherDoNotEndTheDatabase) {
  std::vector<std::string> made;
  Break(EIO, [](auto& call) { return call.kind == Kind::kSync && call.path.ends_with(".log"); });
  for (int i = 0; i < 3; ++i) {
    auto created = fs_->Create(kRoot, top_, "f" + std::to_string(i), {});
    EXPECT_TRUE(created || created.code() == Code::kIo) << created.error().ToString();
    if (created) made.push_back("f" + std::to_string(i));
  }
  EXPECT_GT(failures_, 0u);
  Heal();
  ASSERT_TRUE(ServesAgain("again"));
  ExpectSound(made);
}

// Also when tables are written, logs closed and others begun meanwhile.
TEST_F(DiskFaults, LogsThatFailNowAndThenUnderLoadDoNotEndTheDatabase) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 6;
  std::vector<std::string> made[kThreads];
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<unsigned> calls{0};
    Break(round % 2 == 0 ? EIO : ENOSPC, [&calls](auto& call) {
      bool of_log = call.kind == Kind::kSync || call.kind == Kind::kWrite;
      return of_log && call.path.ends_with(".log") && ++calls % 7 < 3;
    });
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        std::string name = std::string(150, 'n') + std::to_string(round * kThreads + thread) + "-";
        for (int i = 0; i < 150; ++i) {
          auto created = fs_->Create(kRoot, top_, name + std::to_string(i), {});
          if (created) made[thread].push_back(name + std::to_string(i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(failures_, 0u);
    ExpectKept();
    Heal();
    ASSERT_TRUE(ServesAgain("again" + std::to_string(round) + "-"));
  }
  for (int thread = 1; thread < kThreads; ++thread) {
    made[0].insert(made[0].end(), made[thread].begin(), made[thread].end());
  }
  EXPECT_GT(made[0].size(), 100u);
  ExpectSound(made[0]);
}

TEST_F(DiskFaults, ADiskThatOthersFillIsRefusedAndComesBack) {
  std::vector<std::string> made;
  for (int round = 0; round < 3; ++round) {
    bool refused = false;
    for (int i = 0; i < 2000 && !refused; ++i) {
      disk_.SetCapacity(disk_.used());  // not a byte is left, nor of what the database gives back
      std::string name = std::string(150, 'n') + std::to_string(round) + "-" + std::to_string(i);
      auto created = fs_->Create(kRoot, top_, name, {});
      if (created) made.push_back(name);
      refused = !created;
      if (refused) {
        EXPECT_EQ(created.code(), Code::kNoSpace) << created.error().ToString();
      }
    }
    EXPECT_TRUE(refused);
    auto written = Write(kept_, 8 << 20, std::string(1 << 20, 'x'), Stability::kFileSync);
    if (!written) {
      EXPECT_EQ(written.code(), Code::kNoSpace) << written.error().ToString();
    }
    ExpectKept();
    disk_.SetCapacity(SimulatedDisk::kCapacityDefault);
    ASSERT_TRUE(ServesAgain("again" + std::to_string(round) + "-"));
  }
  ExpectSound(made);
}

TEST_F(DiskFaults, AReadThatFailsIsAnErrorOfThatReadAlone) {
  auto before = engine_->counters();
  Break(EIO, [](auto& call) {
    return call.kind == Kind::kRead && call.path.find("/chunks/") != std::string::npos;
  });
  std::byte byte[100];
  EXPECT_EQ(fs_->Read(kRoot, kept_, false, 0, byte).code(), Code::kIo);
  EXPECT_EQ(engine_->counters().read_errors, before.read_errors + 1);
  EXPECT_TRUE(fs_->Create(kRoot, top_, "other", {}).ok());
  Heal();
  ExpectKept();
}

// The first of its blocks was a hole, and of the second not all is written over.
TEST_F(DiskFaults, AWriteThatFailsHalfWayLeavesNoBlockThatIsInNoMap) {
  FileId file = Make("f");
  ASSERT_TRUE(Write(file, 8192, std::string(300'000, 'l'), Stability::kFileSync).ok());
  Break(EIO, [](auto& call) {
    return call.kind == Kind::kRead && call.path.find("/chunks/") != std::string::npos;
  });
  EXPECT_EQ(Write(file, 4096, std::string(6'000, 's'), Stability::kUnstable).code(), Code::kIo);
  Heal();
  ASSERT_TRUE(Write(file, 100'000, "small", Stability::kUnstable).ok());
  ASSERT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
  EXPECT_EQ(Read(file, 8192, 4096), std::string(4096, 'l'));
  ExpectSound({"f"});
}

// What the log does not take is not seen either, until it is well again.
TEST_F(DiskFaults, ALogThatFailsRefusesChangesOfDataBeforeTheyAreSeen) {
  constexpr uint64_t kEnd = (1 << 20) + 80'000;
  FileId other = Make("other");
  Break(EIO, [](auto& call) {
    bool of_log = call.kind == Kind::kSync || call.kind == Kind::kWrite;
    return of_log && call.path.find("/meta/") != std::string::npos;
  });
  while (fs_->Create(kRoot, top_, "n" + std::to_string(failures_.load()), {})) continue;
  EXPECT_EQ(fs_->Allocate(kRoot, kept_, false, 4 << 20, 65'536).code(), Code::kIo);
  EXPECT_EQ(fs_->Deallocate(kRoot, kept_, false, 0, 65'536).code(), Code::kIo);
  EXPECT_EQ(fs_->Clone(kRoot, {kept_, false, 0}, {other, false, 0}, 65'536).code(), Code::kIo);
  EXPECT_EQ(fs_->GetAttributes(kRoot, kept_)->size, kEnd);
  EXPECT_EQ(fs_->GetAttributes(kRoot, other)->size, 0u);
  ExpectKept();
  Heal();
  ASSERT_TRUE(ServesAgain("again"));
  EXPECT_TRUE(fs_->Allocate(kRoot, kept_, false, 4 << 20, 65'536).ok());
  EXPECT_TRUE(fs_->Clone(kRoot, {kept_, false, 0}, {other, false, 0}, 65'536).ok());
  ExpectSound({"other"});
}

// A flipped bit in a table: the records of its block are errors, all else is served.
TEST_F(DiskFaults, AFlippedBitInATableIsAnErrorOfThoseFiles) {
  for (int i = 0; i < 300; ++i) {
    FileId file = Make("f" + std::to_string(i));
    ASSERT_TRUE(
        Write(file, 0, std::string(2'000, static_cast<char>('a' + i % 26)), Stability::kFileSync)
            .ok());
  }
  engine_.reset();
  for (int i = 0; i < 2; ++i) {
    Open();  // what is in the log becomes a table
    engine_.reset();
  }
  std::string largest;
  uint64_t size = 0;
  for (const std::string& path : disk_.Files()) {
    uint64_t bytes = 0;
    if (path.ends_with(".sst") && disk_.Stat(path, nullptr, &bytes) == 0 && bytes > size) {
      size = bytes;
      largest = path;
    }
  }
  ASSERT_GT(size, 0u);
  ASSERT_TRUE(disk_.Flip(largest, size / 3, 0x10));
  Open();
  Use();
  int broken = 0;
  int good = 0;
  for (int i = 0; i < 300; ++i) {
    auto found = fs_->Lookup(kRoot, top_, "f" + std::to_string(i));
    std::string back(2'000, '?');
    Code code = found.code();
    if (found) {
      code = fs_->Read(kRoot, found->id, false, 0, std::as_writable_bytes(std::span(back))).code();
    }
    if (code == Code::kOk) {
      ++good;
      EXPECT_EQ(back, std::string(2'000, static_cast<char>('a' + i % 26)));
    } else {
      ++broken;
      EXPECT_TRUE(code == Code::kCorrupt || code == Code::kIo) << CodeName(code);
    }
  }
  EXPECT_GT(broken, 0);
  EXPECT_GT(good, 200);
  EXPECT_TRUE(fs_->Create(kRoot, top_, "writes still work", {}).ok());
}

}  // namespace
}  // namespace tarn::local
