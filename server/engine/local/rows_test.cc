// Rows that the engine did not write so: an error of what they belong to, and nothing worse. Found
// by rows_fuzz.cc.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "server/engine/local/local_fixture.h"
#include "server/engine/local/store.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

class DamagedRows : public LocalFixture {
 protected:
  DamagedRows() { Open(); }
  // With the engine closed.
  void Edit(const std::function<void(Store&, Batch&)>& edit) {
    engine_.reset();
    LocalOptions options = options_;
    options.disk = &SystemDisk();
    auto store = Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    Batch batch(**store);
    edit(**store, batch);
    ASSERT_TRUE((*store)->WriteAndSync(batch).ok());
  }
  FileId MakeDirectory(const std::string& name) {
    CreateOptions options;
    options.type = FileType::kDirectory;
    return fs_->Create(kRoot, top_, name, options).value().attributes.id;
  }
  void PutInto(RealmId realm, RealmId parent) {
    Edit([&](Store& store, Batch& batch) {
      std::string key = RealmKey(1, realm);
      RealmRecord record = DecodeRealm(*store.Get(Table::kMeta, key).value()).value();
      record.parent = parent;
      batch.Put(Table::kMeta, key, Encode(record));
    });
  }
  Code CodeOfStart() {
    auto engine = OpenLocalEngine(options_);
    return engine.ok() ? (*engine)->GetFileSystem(1).code() : engine.code();
  }
};

TEST_F(DamagedRows, ARealmThatLiesInItself) {
  RealmId outer = fs_->EnsureRealm("/outer", CreationInfo{}).value();
  RealmId inner = fs_->EnsureRealm("/outer/inner", CreationInfo{}).value();
  PutInto(outer, inner);
  EXPECT_EQ(CodeOfStart(), Code::kCorrupt);
}

TEST_F(DamagedRows, ARootRealmThatLiesInAnother) {
  RealmId inner = fs_->EnsureRealm("/inner", CreationInfo{}).value();
  PutInto(kRootRealm, inner);
  EXPECT_EQ(CodeOfStart(), Code::kCorrupt);
}

// Directories that are each other's entries and parents.
TEST_F(DamagedRows, ADirectoryThatLiesInItself) {
  FileId outer = MakeDirectory("outer");
  CreateOptions options;
  options.type = FileType::kDirectory;
  FileId inner = fs_->Create(kRoot, outer, "inner", options).value().attributes.id;
  FileId other = MakeDirectory("other");
  Edit([&](Store& store, Batch& batch) {
    std::string key = InodeKey(1, outer.inode);
    InodeRecord record = DecodeInode(*store.Get(Table::kInodes, key).value()).value();
    record.parent = inner.inode;
    batch.Put(Table::kInodes, key, Encode(record));
    NameRecord name{outer.inode, outer.generation, FileType::kDirectory, "back"};
    batch.Put(Table::kNames, NameKey(1, inner.inode, 1000), Encode(name));
  });
  Open();
  EXPECT_EQ(fs_->Rename(kRoot, top_, "other", inner, "there").code(), Code::kCorrupt);
  EXPECT_TRUE(fs_->GetAttributes(kRoot, other).ok());
  auto realm = fs_->EnsureRealm("/outer", CreationInfo{});
  ASSERT_TRUE(realm.ok()) << realm.error().ToString();
  EXPECT_TRUE(fs_->RemoveRealm(*realm, false).ok());
  EXPECT_GT(fs_->Check([](std::string_view) {}).value(), 0U);
}

TEST_F(DamagedRows, AUsageThatNoDiskHas) {
  Edit([&](Store&, Batch& batch) {
    batch.Put(Table::kMeta, UsageKey(1, kRootRealm), Encode(UsageDelta{INT64_MAX, INT64_MAX}));
  });
  EXPECT_EQ(CodeOfStart(), Code::kCorrupt);
}

TEST_F(DamagedRows, ADirectoryOfNoRealm) {
  FileId directory = MakeDirectory("d");
  Edit([&](Store& store, Batch& batch) {
    std::string key = InodeKey(1, directory.inode);
    InodeRecord record = DecodeInode(*store.Get(Table::kInodes, key).value()).value();
    record.realm = 12345;
    batch.Put(Table::kInodes, key, Encode(record));
  });
  Open();
  EXPECT_EQ(fs_->EnsureRealm("/d", CreationInfo{}).code(), Code::kCorrupt);
  EXPECT_TRUE(fs_->EnsureRealm("/other", CreationInfo{}).ok());
}

// A name of a removed tree that cannot be read keeps what is around it, and nothing else.
TEST_F(DamagedRows, ATreeInTrash) {
  RealmId damaged = fs_->EnsureRealm("/damaged", CreationInfo{}).value();
  RealmId other = fs_->EnsureRealm("/other", CreationInfo{}).value();
  FileId inside = fs_->RealmRoot(damaged).value();
  ASSERT_TRUE(fs_->Create(kRoot, inside, "file", {}).ok());
  ASSERT_TRUE(fs_->Create(kRoot, fs_->RealmRoot(other).value(), "file", {}).ok());
  Edit([&](Store& store, Batch& batch) {
    std::string prefix = InodeKey(1, inside.inode);
    ASSERT_TRUE(store
                    .Scan(Table::kNames, prefix, After(prefix),
                          [&](std::string_view key, std::string_view) {
                            batch.Put(Table::kNames, std::string(key), "?");
                            return true;
                          })
                    .ok());
  });
  Open();
  // The other's root and file are gone.
  uint64_t left = fs_->GetSpace(kRootRealm)->usage.files - 2;
  ASSERT_TRUE(fs_->RemoveRealm(damaged, true).ok());
  ASSERT_TRUE(fs_->RemoveRealm(other, true).ok());
  auto files = [&] { return fs_->GetSpace(kRootRealm)->usage.files; };
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (files() > left && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(files(), left);
}

}  // namespace
}  // namespace tarn::local
