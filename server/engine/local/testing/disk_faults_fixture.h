// What the tests of disks that fail stand on: an engine on a simulated disk, and a file whose bytes
// must always be there.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/engine/local/local_engine.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {

class DiskFaults : public ::testing::Test {
 protected:
  using Kind = SimulatedDisk::Kind;
  static inline const vfs::Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};
  static constexpr std::chrono::seconds kPatience{60};

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
    EXPECT_TRUE(Write(kept_, 0, Bytes(), vfs::Stability::kFileSync).ok());
    EXPECT_TRUE(Write(kept_, 1 << 20, Bytes(), vfs::Stability::kFileSync).ok());
  }
  void Open() {
    auto engine = OpenLocalEngine(options_);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(*engine);
  }
  void Use() {
    fs_ = *engine_->GetFileSystem(1);
    top_ = *fs_->RealmRoot(vfs::kRootRealm);
  }
  // More than goes to the journal.
  static std::string Bytes() { return std::string(80'000, 'k'); }
  vfs::FileId Make(const std::string& name) {
    auto made = fs_->Create(kRoot, top_, name, {});
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return made ? made->attributes.id : vfs::FileId{};
  }
  Result<vfs::WriteResult> Write(vfs::FileId file, uint64_t offset, const std::string& bytes,
                                 vfs::Stability stability) {
    return fs_->Write(kRoot, file, false, offset, std::as_bytes(std::span(bytes)), stability);
  }
  std::string Read(vfs::FileId file, uint64_t offset, size_t bytes) {
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
  std::unique_ptr<vfs::Engine> engine_;
  vfs::FileSystem* fs_ = nullptr;
  vfs::FileId top_;
  vfs::FileId kept_;
  std::atomic<uint64_t> failures_{0};
};

}  // namespace tarn::local
