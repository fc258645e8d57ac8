// A disk that fails and is well again: what the engine says meanwhile, and afterwards.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "server/engine/local/local_engine.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using Kind = SimulatedDisk::Kind;

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};
// RocksDB looks for space every five seconds, and may find something else to wait for each time.
constexpr std::chrono::seconds kPatience{60};

class DiskFaults : public ::testing::Test {
 protected:
  DiskFaults() {
    options_.data_dir = "/data";
    options_.disk = &disk_;
    options_.write_buffer_bytes = 64u << 10;
    options_.reserve_bytes = 4u << 20;
    options_.maintenance_interval = std::chrono::milliseconds(20);
    Open();
    EXPECT_TRUE(engine_->CreateFileSystem().ok());
    Use();
    kept_ = Make("kept");
    EXPECT_TRUE(Write(kept_, 0, Bytes(), Stability::kFileSync).ok());
    EXPECT_TRUE(Write(kept_, 1 << 20, Bytes(), Stability::kFileSync).ok());
  }
  void Open() {
    auto engine = OpenLocalEngine(options_);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(*engine);
  }
  void Use() {
    fs_ = *engine_->GetFileSystem(1);
    top_ = *fs_->RealmRoot(kRootRealm);
  }
  // More than goes to the journal.
  static std::string Bytes() { return std::string(80'000, 'k'); }
  FileId Make(const std::string& name) {
    auto made = fs_->Create(kRoot, top_, name, {});
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return made ? made->attributes.id : FileId{};
  }
  Result<WriteResult> Write(FileId file, uint64_t offset, const std::string& bytes,
                            Stability stability) {
    return fs_->Write(kRoot, file, false, offset, std::as_bytes(std::span(bytes)), stability);
  }
  std::string Read(FileId file, uint64_t offset, size_t bytes) {
    std::string back(bytes, '?');
    auto read = fs_->Read(kRoot, file, false, offset, std::as_writable_bytes(std::span(back)));
    EXPECT_TRUE(read.ok()) << read.error().ToString();
    return back;
  }
  void ExpectKept() {
    EXPECT_EQ(Read(kept_, 0, Bytes().size()), Bytes());
    EXPECT_EQ(Read(kept_, 1 << 20, Bytes().size()), Bytes());
    EXPECT_TRUE(fs_->Lookup(kRoot, top_, "kept").ok());
  }
  // Fails what `fails` names, from now on.
  void Break(int error, std::function<bool(const SimulatedDisk::Call&)> fails) {
    disk_.SetHook([error, fails = std::move(fails), this](const SimulatedDisk::Call& call) {
      bool fail = fails(call);
      failures_ += fail ? 1 : 0;
      return fail ? error : 0;
    });
  }
  void Heal() { disk_.SetHook({}); }
  // Until a creation works again, without help.
  bool ServesAgain(const std::string& name) {
    auto end = std::chrono::steady_clock::now() + kPatience;
    for (int i = 0; std::chrono::steady_clock::now() < end; ++i) {
      if (fs_->Create(kRoot, top_, name + std::to_string(i), {}).ok()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  // The names of `made` are there, also after a cut of power; nothing is wrong.
  void ExpectSound(const std::vector<std::string>& made) {
    ExpectProblemsNone();
    auto after = disk_.CutPower(3);
    engine_.reset();
    options_.disk = after.get();
    Open();
    Use();
    ExpectKept();
    for (const std::string& name : made) {
      EXPECT_TRUE(fs_->Lookup(kRoot, top_, name).ok()) << name << " was answered, and is gone";
    }
    ExpectProblemsNone();
    engine_.reset();
  }
  void ExpectProblemsNone() {
    auto problems = fs_->Check([](std::string_view line) { ADD_FAILURE() << line; });
    ASSERT_TRUE(problems.ok()) << problems.error().ToString();
    EXPECT_EQ(*problems, 0u);
  }

  SimulatedDisk disk_;
  LocalOptions options_;
  std::unique_ptr<Engine> engine_;
  FileSystem* fs_ = nullptr;
  FileId top_;
  FileId kept_;
  std::atomic<uint64_t> failures_{0};
};

TEST_F(DiskFaults, AFailedSyncOfDataIsTold) {
  FileId file = Make("f");
  uint64_t verifier = fs_->WriteVerifier();
  ASSERT_TRUE(Write(file, 0, std::string(100'000, 'a'), Stability::kUnstable).ok());
  Break(EIO, [](auto& call) {
    return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
  });
  EXPECT_EQ(fs_->Commit(kRoot, file, 0, 0).code(), Code::kIo);
  EXPECT_NE(fs_->WriteVerifier(), verifier) << "what was written is lost, so clients must know";
  EXPECT_EQ(Write(file, 0, std::string(100'000, 'a'), Stability::kFileSync).code(), Code::kIo);
  EXPECT_TRUE(Write(kept_, 0, "k", Stability::kFileSync).ok()) << "it goes to the log";
  ExpectKept();
  EXPECT_TRUE(fs_->Create(kRoot, top_, "names still work", {}).ok());
  Heal();
  // As a client does after a verifier that changed.
  ASSERT_TRUE(Write(file, 0, std::string(100'000, 'b'), Stability::kUnstable).ok());
  ASSERT_TRUE(Write(kept_, 0, Bytes(), Stability::kUnstable).ok());
  ASSERT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
  ASSERT_TRUE(fs_->Commit(kRoot, kept_, 0, 0).ok());
  auto after = disk_.CutPower(1);
  engine_.reset();
  options_.disk = after.get();
  Open();
  Use();
  EXPECT_EQ(Read(file, 0, 100'000), std::string(100'000, 'b'));
  ExpectKept();
  engine_.reset();
}

// The bytes of a small file move from the database to a chunk file when it grows. They were stable
// there, and a sync that fails later must not take them.
TEST_F(DiskFaults, AFailedSyncTakesNothingThatWasStable) {
  auto break_syncs = [&] {
    Break(EIO, [](auto& call) {
      return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
    });
  };
  const std::string small(10'000, 's');
  const std::string more(200'000, 'm');
  for (int i = 0; i < 8; ++i) {
    FileId file = Make("f" + std::to_string(i));
    ASSERT_TRUE(Write(file, 0, small, Stability::kFileSync).ok());
    break_syncs();
    EXPECT_EQ(Write(file, small.size(), more, Stability::kFileSync).code(), Code::kIo);
    EXPECT_EQ(Read(file, 0, small.size()), small);
    Heal();
    ASSERT_TRUE(Write(file, small.size(), more, Stability::kUnstable).ok());
    break_syncs();
    EXPECT_EQ(fs_->Commit(kRoot, file, 0, 0).code(), Code::kIo);
    EXPECT_EQ(Read(file, 0, small.size()), small);
    Heal();
    ASSERT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
    EXPECT_EQ(Read(file, 0, small.size()), small);
  }
}

// The journal's images go to the same chunk file, and the system tells its failure only once.
TEST_F(DiskFaults, AFailedSyncOfTheJournalsImagesIsToldToWritersToo) {
  options_.journal_apply_after = std::chrono::milliseconds(0);
  engine_.reset();
  Open();
  Use();
  FileId file = Make("f");
  ASSERT_TRUE(Write(file, 0, std::string(300'000, 'l'), Stability::kFileSync).ok());
  Break(EIO, [](auto& call) {
    return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
  });
  ASSERT_TRUE(Write(file, 0, "small", Stability::kFileSync).ok()) << "it goes to the log";
  ASSERT_TRUE(Write(file, 50'000, std::string(200'000, 'm'), Stability::kUnstable).ok());
  uint64_t verifier = fs_->WriteVerifier();
  auto end = std::chrono::steady_clock::now() + kPatience;
  for (uint64_t before = failures_; failures_ < before + 2;) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Heal();
  (void)fs_->Commit(kRoot, file, 0, 0);  // kIo, unless it was written back before
  EXPECT_NE(fs_->WriteVerifier(), verifier);
  EXPECT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
  EXPECT_EQ(Read(file, 0, 50'000), "small" + std::string(49'995, 'l'));
}

// While the sync fails the blocks cannot even be read.
TEST_F(DiskFaults, WhatAFailedSyncLeftIsReadAndWrittenOnceTheDiskIsWell) {
  const std::string large(300'000, 'l');
  for (int i = 0; i < 8; ++i) {
    FileId file = Make("f" + std::to_string(i));
    ASSERT_TRUE(Write(file, 0, large, Stability::kFileSync).ok());
    ASSERT_TRUE(Write(file, 1'001, std::string(100'000, 'm'), Stability::kUnstable).ok());
    Break(EIO, [](auto& call) {
      bool hit = call.kind == Kind::kSync || call.kind == Kind::kRead;
      return hit && call.path.find("/chunks/") != std::string::npos;
    });
    EXPECT_EQ(fs_->Commit(kRoot, file, 0, 0).code(), Code::kIo);
    Heal();
    std::string back(large.size(), '?');
    if (i % 2 == 0) {
      back = Read(file, 0, large.size());
      EXPECT_EQ(back.find_first_not_of("lm"), std::string::npos);
      EXPECT_EQ(back.substr(0, 1'001), large.substr(0, 1'001));
    }
    EXPECT_TRUE(Write(file, 1'001, "n", Stability::kUnstable).ok());
    EXPECT_EQ(Read(file, 1'000, 2), "ln");
    EXPECT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
  }
}

// What a large write goes over lies in the journal, or in a file that a clone shares, and the
// chunk file that the write goes to has none of it.
TEST_F(DiskFaults, AFailedSyncTakesNothingThatLiesElsewhere) {
  options_.journal_apply_after = std::chrono::hours(1);
  engine_.reset();
  Open();
  Use();
  const std::string large(300'000, 'l');
  const std::string small(10'000, 's');
  const std::string more(200'000, 'm');
  // All that `more` does not go over, and of the rest each byte as before or after.
  auto expect = [&](FileId file, const std::string& stable, uint64_t offset) {
    std::string back = Read(file, 0, stable.size());
    EXPECT_EQ(back.substr(0, offset), stable.substr(0, offset));
    for (size_t i = offset; i < stable.size(); ++i) {
      if (back[i] == stable[i] || back[i] == 'm') continue;
      ADD_FAILURE() << "byte " << i << " is neither of before nor of after";
      break;
    }
  };
  for (int i = 0; i < 8; ++i) {
    FileId journaled = Make("j" + std::to_string(i));
    ASSERT_TRUE(Write(journaled, 0, large, Stability::kFileSync).ok());
    ASSERT_TRUE(Write(journaled, 50'000, small, Stability::kFileSync).ok());
    std::string stable = large;
    stable.replace(50'000, small.size(), small);
    FileId cloned = Make("c" + std::to_string(i));
    ASSERT_TRUE(fs_->Clone(kRoot, {journaled, false, 0}, {cloned, false, 0}, 0).ok());
    ASSERT_TRUE(Write(journaled, 50'000, small, Stability::kFileSync).ok());
    for (FileId file : {journaled, cloned}) {
      ASSERT_TRUE(Write(file, 55'001, more, Stability::kUnstable).ok());
      Break(EIO, [](auto& call) {
        return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
      });
      EXPECT_EQ(fs_->Commit(kRoot, file, 0, 0).code(), Code::kIo);
      expect(file, stable, 55'001);
      Heal();
      ASSERT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok());
      expect(file, stable, 55'001);
    }
    auto after = disk_.CutPower(static_cast<uint64_t>(i));
    LocalOptions options = options_;
    options.disk = after.get();
    auto engine = OpenLocalEngine(options);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    std::swap(engine_, *engine);
    Use();
    for (FileId file : {journaled, cloned}) expect(file, stable, 55'001);
    ExpectProblemsNone();
    engine_.reset();
    std::swap(engine_, *engine);
    Use();
  }
}

TEST_F(DiskFaults, AfterACutOfPowerNoChangeAttributeComesTwice) {
  FileId file = Make("f");
  ASSERT_TRUE(Write(file, 0, "stable", Stability::kFileSync).ok());
  uint64_t shown = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Write(file, 0, "to be lost", Stability::kUnstable).ok());
    auto found = fs_->GetAttributes(kRoot, file);
    ASSERT_TRUE(found.ok());
    EXPECT_GT(found->change, shown);
    shown = found->change;
  }
  for (uint64_t seed = 0; seed < 8; ++seed) {
    auto after = disk_.CutPower(seed);
    LocalOptions options = options_;
    options.disk = after.get();
    auto engine = OpenLocalEngine(options);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    FileSystem* fs = *(*engine)->GetFileSystem(1);
    std::string bytes = "others";
    auto written =
        fs->Write(kRoot, file, false, 0, std::as_bytes(std::span(bytes)), Stability::kUnstable);
    ASSERT_TRUE(written.ok());
    EXPECT_GT(fs->GetAttributes(kRoot, file)->change, shown);
    engine->reset();
  }
}

// A stable write over old bytes stores the change attribute when it is done. Its end in between
// leaves new bytes, and a client that has the old ones in its cache must learn of them.
TEST_F(DiskFaults, ADeathInsideAStableWriteLeavesAnotherChangeAttribute) {
  FileId file = Make("f");
  const std::string old(300'000, 'o');
  ASSERT_TRUE(Write(file, 0, old, Stability::kFileSync).ok());
  uint64_t shown = fs_->GetAttributes(kRoot, file)->change;
  FileId other = Make("other");
  ASSERT_TRUE(Write(other, 0, old, Stability::kFileSync).ok());
  uint64_t other_shown = fs_->GetAttributes(kRoot, other)->change;
  std::vector<std::unique_ptr<SimulatedDisk>> left;
  disk_.SetHook([&](const SimulatedDisk::Call& call) {
    if (call.kind != Kind::kSync || call.path.find("/chunks/") == std::string::npos) return 0;
    left.push_back(disk_.Copy());  // a kill
    for (uint64_t seed = 1; seed < 4; ++seed) left.push_back(disk_.CutPower(seed));
    return 0;
  });
  ASSERT_TRUE(Write(file, 0, std::string(200'000, 'n'), Stability::kFileSync).ok());
  Heal();
  engine_.reset();
  ASSERT_EQ(left.size(), 4u);
  bool any = false;
  for (auto& disk : left) {
    options_.disk = disk.get();
    Open();
    Use();
    uint64_t change = fs_->GetAttributes(kRoot, file)->change;
    if (Read(file, 0, old.size()) != old) {
      any = true;
      EXPECT_NE(change, shown);
    }
    EXPECT_EQ(fs_->GetAttributes(kRoot, other)->change, other_shown);
    engine_.reset();
  }
  EXPECT_TRUE(any);
}

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
