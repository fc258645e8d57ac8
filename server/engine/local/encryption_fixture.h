// For tests: an encrypted file system on a disk that is looked at without its key.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "server/engine/local/integrity_fixture.h"
#include "server/engine/local/store.h"

namespace tarn::local {

class EncryptionFixture : public LocalFixture {
 protected:
  EncryptionFixture() {
    options_.journal_apply_after = std::chrono::hours(1);
    options_.own_thread = false;
  }

  // The first time, or again; unlocked if it is encrypted.
  void Open(bool encrypted = true) {
    OpenEngine();
    if (!engine_->GetFileSystem(1).ok()) {
      ASSERT_EQ(*engine_->CreateFileSystem(encrypted ? &key_ : nullptr), 1u);
    }
    if (engine_->encrypted(1)) {
      ASSERT_EQ(engine_->Unlock(1, key_).code(), Code::kOk);
    }
    fs_ = *engine_->GetFileSystem(1);
    ASSERT_TRUE(fs_->ReleaseOrphans().ok());
    top_ = *fs_->RealmRoot(vfs::kRootRealm);
  }

  vfs::FileId Make(vfs::FileId directory, const std::string& name,
                   const vfs::CreateOptions& how = {}) {
    return fs_->Create(kRoot, directory, name, how).value().attributes.id;
  }
  void Write(vfs::FileId file, uint64_t offset, std::string_view text) {
    auto bytes = std::as_bytes(std::span(text));
    ASSERT_TRUE(fs_->Write(kRoot, file, false, offset, bytes, vfs::Stability::kFileSync).ok());
  }
  Result<std::string> Read(vfs::FileId file, uint64_t offset, size_t length) {
    std::string text(length, '?');
    TRY(auto read, fs_->Read(kRoot, file, false, offset, std::as_writable_bytes(std::span(text))));
    text.resize(read.bytes);
    return text;
  }
  vfs::FileId MakeLarge(const std::string& name, uint64_t seed) {
    vfs::FileId file = Make(top_, name);
    Write(file, 0, Pattern(400'000, seed));
    return file;
  }
  std::string ChunkPath(vfs::FileId file) {
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

  const SecretBytes key_{std::string(vfs::kKeyBytes, 'k')};
};

}  // namespace tarn::local
