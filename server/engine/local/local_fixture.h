// LocalFixture: a store of its own for each test, with one file system. For tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "server/engine/local/local_engine.h"
#include "server/engine/local/test_directory.h"

namespace tarn::local {

class LocalFixture : public ::testing::Test {
 protected:
  LocalFixture() {
    options_.data_dir = directory_->path() + "/data";
    options_.maintenance_interval = std::chrono::milliseconds(5);
  }

  void OpenEngine() {
    engine_.reset();
    auto engine = OpenLocalEngine(options_);
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(*engine);
  }
  // The first time, or again.
  void Open() {
    OpenEngine();
    if (!engine_->GetFileSystem(1).ok()) {
      ASSERT_EQ(*engine_->CreateFileSystem(), 1u);
    }
    fs_ = *engine_->GetFileSystem(1);
    (void)fs_->ReleaseOrphans();  // nobody comes back who had a file open
    top_ = *fs_->RealmRoot(vfs::kRootRealm);
  }
  // What a killed process leaves.
  void Kill() {
    auto next = std::make_unique<TestDirectory>();
    next->CopyFrom(*directory_);
    engine_.reset();
    directory_ = std::move(next);
    options_.data_dir = directory_->path() + "/data";
  }

  std::unique_ptr<TestDirectory> directory_ = std::make_unique<TestDirectory>();
  LocalOptions options_;
  std::unique_ptr<vfs::Engine> engine_;
  vfs::FileSystem* fs_ = nullptr;
  vfs::FileId top_;
};

}  // namespace tarn::local
