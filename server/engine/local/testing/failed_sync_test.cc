// What becomes of bytes that were stable when a sync fails, or the server dies, beside bytes that
// were not.
#include <cerrno>
#include <thread>

#include "server/engine/local/testing/disk_faults_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

class FailedSync : public DiskFaults {};
class Deaths : public DiskFaults {};

TEST_F(FailedSync, AFailedSyncOfDataIsTold) {
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
TEST_F(FailedSync, AFailedSyncTakesNothingThatWasStable) {
  auto break_syncs = [&] {
    Break(EIO, [](auto& call) {
      return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
    });
  };
  const std::string small(10'000, 's');
  const std::string more(200'000, 'm');
  std::vector<FileId> files;
  for (int i = 0; i < 8; ++i) {
    FileId file = Make("f" + std::to_string(i));
    files.push_back(file);
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
  auto after = disk_.CutPower(1);
  engine_.reset();
  options_.disk = after.get();
  Open();
  Use();
  for (FileId file : files) EXPECT_EQ(Read(file, 0, small.size()), small);
  engine_.reset();
}

// The journal's images go to the same chunk file, and the system tells its failure only once.
TEST_F(FailedSync, AFailedSyncOfTheJournalsImagesIsToldToWritersToo) {
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
TEST_F(FailedSync, WhatAFailedSyncLeftIsReadAndWrittenOnceTheDiskIsWell) {
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
TEST_F(FailedSync, AFailedSyncTakesNothingThatLiesElsewhere) {
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

TEST_F(Deaths, AfterACutOfPowerNoChangeAttributeComesTwice) {
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
TEST_F(Deaths, ADeathInsideAStableWriteLeavesAnotherChangeAttribute) {
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

// What a kill leaves of an overwrite is in the page cache. It gets new sums, and then its mark
// goes.
TEST_F(Deaths, ACutOfPowerAfterAKillLeavesNoWrongSums) {
  FileId file = Make("f");
  const std::string old(300'000, 'o');
  ASSERT_TRUE(Write(file, 0, old, Stability::kFileSync).ok());
  ASSERT_TRUE(Write(file, 0, std::string(200'000, 'n'), Stability::kUnstable).ok());
  auto killed = disk_.Copy();
  engine_.reset();
  options_.disk = killed.get();
  options_.own_thread = false;
  Open();
  Use();
  MaintainLocalEngine(*engine_);
  Make("g");  // so that all this is in the log for good
  for (uint64_t seed = 1; seed < 8; ++seed) {
    auto cut = killed->CutPower(seed);
    LocalOptions options = options_;
    options.disk = cut.get();
    auto engine = OpenLocalEngine(options);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    std::swap(engine_, *engine);
    MaintainLocalEngine(*engine_);
    Use();
    EXPECT_EQ(Read(file, 0, old.size()).find_first_not_of("on"), std::string::npos);
    engine_.reset();
    std::swap(engine_, *engine);
  }
  engine_.reset();
}

}  // namespace
}  // namespace tarn::local
