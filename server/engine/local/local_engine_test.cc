// What is particular to the durable engine: its formats, its limits, and what it does with stored
// bytes that are wrong.
#include "server/engine/local/local_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "server/engine/local/format.h"
#include "server/engine/local/local_fixture.h"
#include "server/engine/local/store.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

class LocalEngineTest : public LocalFixture {
 protected:
  LocalEngineTest() {
    options_.block_cache_bytes = 8u << 20;
    options_.write_buffer_bytes = 4u << 20;
  }

  FileId Make(FileId directory, const std::string& name, FileType type = FileType::kRegular) {
    CreateOptions options;
    options.type = type;
    auto made = fs_->Create(kRoot, directory, name, options);
    EXPECT_TRUE(made.ok()) << name;
    return made.ok() ? made->attributes.id : FileId{};
  }

  void Write(FileId file, uint64_t offset, const std::string& text,
             Stability stability = Stability::kFileSync) {
    auto written =
        fs_->Write(kRoot, file, false, offset, std::as_bytes(std::span(text)), stability);
    ASSERT_TRUE(written.ok()) << written.error().ToString();
  }

  Result<std::string> Read(FileId file, uint64_t offset, size_t length) {
    std::string text(length, '?');
    TRY(auto read, fs_->Read(kRoot, file, false, offset, std::as_writable_bytes(std::span(text))));
    text.resize(read.bytes);
    return text;
  }

  std::vector<std::string> Problems() {
    std::vector<std::string> lines;
    auto count = fs_->Check([&](std::string_view line) { lines.emplace_back(line); });
    EXPECT_TRUE(count.ok());
    EXPECT_EQ(count.ok() ? *count : 0, lines.size());
    return lines;
  }

  // Changes what is stored while no engine has it open.
  void Tamper(const std::function<void(Store&, Batch&)>& change) {
    engine_.reset();
    auto store = Store::Open(options_);
    ASSERT_TRUE(store.ok());
    Batch batch(**store);
    change(**store, batch);
    ASSERT_TRUE((*store)->WriteAndSync(batch).ok());
  }

  // A walk in which the engine's thread removes a folder fails, and is made again.
  // The only one's path.
  std::string ChunkFile() {
    std::string path;
    std::filesystem::recursive_directory_iterator at(options_.data_dir + "/chunks");
    for (auto& entry : at) {
      if (entry.is_regular_file()) path = entry.path();
    }
    return path;
  }
  size_t ChunkFileCount() {
    const std::filesystem::recursive_directory_iterator end;
    std::error_code gone;
    size_t count = 0;
    do {
      count = 0;
      gone.clear();
      if (!std::filesystem::exists(options_.data_dir + "/chunks")) break;
      std::filesystem::recursive_directory_iterator at(options_.data_dir + "/chunks", gone);
      for (; !gone && at != end; at.increment(gone)) {
        std::error_code ignored;
        count += at->is_regular_file(ignored) ? 1 : 0;
      }
    } while (gone);
    return count;
  }
  bool WaitForChunkFiles(size_t count) {
    for (int i = 0; i < 1000 && ChunkFileCount() != count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return ChunkFileCount() == count;
  }
};

TEST_F(LocalEngineTest, RefusesANewerFormat) {
  Open();
  engine_.reset();
  std::ofstream(options_.data_dir + "/format") << kFormatVersion + 1 << "\n";
  auto engine = OpenLocalEngine(options_);
  ASSERT_EQ(engine.code(), Code::kNotSupported);
  EXPECT_THAT(engine.error().message(), HasSubstr("newer version"));
}

TEST_F(LocalEngineTest, TakesAnOlderFormatOver) {
  Open();
  engine_.reset();
  std::string path = options_.data_dir + "/format";
  std::ofstream(path) << "1\n";
  Open();
  EXPECT_TRUE(fs_->GetAttributes(kRoot, top_).ok());
  uint32_t version = 0;
  std::ifstream(path) >> version;
  EXPECT_EQ(version, kFormatVersion);
}

TEST_F(LocalEngineTest, RefusesADirectoryWithoutItsFormat) {
  Open();
  engine_.reset();
  std::filesystem::remove(options_.data_dir + "/format");
  EXPECT_EQ(OpenLocalEngine(options_).code(), Code::kCorrupt);
  EXPECT_EQ(OpenLocalEngine({}).code(), Code::kInvalid);
}

TEST_F(LocalEngineTest, OneEngineADirectory) {
  Open();
  auto second = OpenLocalEngine(options_);
  ASSERT_EQ(second.code(), Code::kInUse);
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(::getpid())));
}

TEST_F(LocalEngineTest, AHundredThousandNames) {
  Open();
  constexpr int kThreads = 8;
  constexpr int kEach = 12'500;
  FileId directory = Make(top_, "d", FileType::kDirectory);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) Make(directory, std::to_string(thread * kEach + i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> seen;
  ASSERT_TRUE(*fs_->ReadDirectory(kRoot, directory, 0, true, [&](const DirectoryEntry& entry) {
    EXPECT_TRUE(seen.emplace(entry.name).second);
    return true;
  }));
  EXPECT_EQ(seen.size(), static_cast<size_t>(kThreads * kEach));
  EXPECT_TRUE(fs_->Lookup(kRoot, directory, "99999").ok());
  EXPECT_EQ(fs_->GetSpace(kRootRealm)->usage.files, 2u + kThreads * kEach);
  EXPECT_TRUE(Problems().empty());
}

TEST_F(LocalEngineTest, NamesThatCollideStayApart) {
  options_.name_hash_bits = 2;
  Open();
  FileId directory = Make(top_, "d", FileType::kDirectory);
  std::set<std::string> expected;
  uint32_t random = 1;
  for (int i = 0; i < 3000; ++i) {
    random = random * 1664525 + 1013904223;
    std::string name = "n" + std::to_string((random >> 16) % 60);
    std::string other = "n" + std::to_string((random >> 8) % 60);
    switch (random >> 30) {
      case 0:
      case 1: {
        bool made = fs_->Create(kRoot, directory, name, {}).ok();
        ASSERT_EQ(made, expected.insert(name).second);
        break;
      }
      case 2:
        ASSERT_EQ(fs_->Remove(kRoot, directory, name).ok(), expected.erase(name) == 1);
        break;
      default:
        bool moved = fs_->Rename(kRoot, directory, name, directory, other).ok();
        ASSERT_EQ(moved, expected.contains(name));
        if (moved && name != other) {
          expected.erase(name);
          expected.insert(other);
        }
    }
  }
  std::set<std::string> found;
  ASSERT_TRUE(*fs_->ReadDirectory(kRoot, directory, 0, false, [&](const DirectoryEntry& entry) {
    found.emplace(entry.name);
    return true;
  }));
  EXPECT_EQ(found, expected);
  for (const std::string& name : expected) EXPECT_TRUE(fs_->Lookup(kRoot, directory, name).ok());
  EXPECT_TRUE(Problems().empty());
  for (const std::string& name : expected) ASSERT_TRUE(fs_->Remove(kRoot, directory, name).ok());
  ASSERT_TRUE(fs_->Remove(kRoot, top_, "d").ok());
  EXPECT_TRUE(Problems().empty());
}

TEST_F(LocalEngineTest, BrokenRecordsAreErrors) {
  Open();
  FileId directory = Make(top_, "d", FileType::kDirectory);
  FileId file = Make(directory, "f");
  FileId large = Make(directory, "large");
  Write(large, 0, std::string(100'000, 'x'));
  std::string good;
  Tamper(
      [&](Store& store, Batch&) { good = **store.Get(Table::kInodes, InodeKey(1, file.inode)); });
  std::vector<std::string> broken = {"",
                                     "\x01",
                                     std::string(500, '\xff'),
                                     good + "x",
                                     good.substr(0, good.size() - 1),
                                     "\x02" + good.substr(1)};
  for (const std::string& bytes : broken) {
    Tamper(
        [&](Store&, Batch& batch) { batch.Put(Table::kInodes, InodeKey(1, file.inode), bytes); });
    Open();
    EXPECT_EQ(fs_->GetAttributes(kRoot, file).code(), Code::kCorrupt);
    EXPECT_EQ(fs_->Lookup(kRoot, directory, "f").code(), Code::kCorrupt);
    EXPECT_EQ(fs_->Remove(kRoot, directory, "f").code(), Code::kCorrupt);
    EXPECT_EQ(Read(file, 0, 1).code(), Code::kCorrupt);
    EXPECT_FALSE(Problems().empty());
    EXPECT_TRUE(fs_->Lookup(kRoot, directory, "large").ok());
  }
  Tamper([&](Store&, Batch& batch) {
    batch.Put(Table::kInodes, InodeKey(1, file.inode), good);
    batch.Put(Table::kChunks, ChunkKey(1, large.inode, 0), "\x07garbage");
  });
  Open();
  EXPECT_EQ(Read(large, 0, 1).code(), Code::kCorrupt);
  EXPECT_FALSE(Problems().empty());
}

TEST_F(LocalEngineTest, CheckFindsWhatIsWrong) {
  Open();
  FileId directory = Make(top_, "d", FileType::kDirectory);
  FileId file = Make(directory, "f");
  FileId large = Make(directory, "large");
  Write(large, 0, std::string(100'000, 'x'));
  EXPECT_TRUE(Problems().empty());
  std::string record;
  auto expect = [&](const std::string& problem, const std::function<void(Store&, Batch&)>& change,
                    const std::function<void(Store&, Batch&)>& undo) {
    Tamper(change);
    Open();
    EXPECT_THAT(Problems(), testing::Contains(HasSubstr(problem)));
    if (problem == "leads to inode") {
      CreateOptions unchecked;
      unchecked.mode = CreateMode::kUnchecked;
      EXPECT_EQ(fs_->Lookup(kRoot, directory, "f").code(), Code::kCorrupt);
      EXPECT_EQ(fs_->Create(kRoot, directory, "f", unchecked).code(), Code::kCorrupt);
      EXPECT_EQ(fs_->Remove(kRoot, directory, "f").code(), Code::kCorrupt);
      EXPECT_EQ(fs_->Rename(kRoot, directory, "f", directory, "g").code(), Code::kCorrupt);
      EXPECT_EQ(fs_->Rename(kRoot, directory, "large", directory, "f").code(), Code::kCorrupt);
    }
    Tamper(undo);
    Open();
    EXPECT_TRUE(Problems().empty());
  };
  std::string key = InodeKey(1, file.inode);
  expect(
      "leads to inode",
      [&](Store& store, Batch& batch) {
        record = **store.Get(Table::kInodes, key);
        batch.Delete(Table::kInodes, key);
      },
      [&](Store&, Batch& batch) { batch.Put(Table::kInodes, key, record); });
  expect(
      "counts 5 links",
      [&](Store&, Batch& batch) {
        InodeRecord wrong = *DecodeInode(record);
        wrong.links = 5;
        batch.Put(Table::kInodes, key, Encode(wrong));
      },
      [&](Store&, Batch& batch) { batch.Put(Table::kInodes, key, record); });
  expect(
      "realm 1 counts",
      [](Store&, Batch& batch) {
        batch.AddUsage(UsageKey(1, kRootRealm), {4096, 0});
      },
      [](Store&, Batch& batch) {
        batch.AddUsage(UsageKey(1, kRootRealm), {-4096, 0});
      });
  // A chunk file that is gone: the check says so, and reading is an error rather than zeros.
  std::filesystem::remove_all(options_.data_dir + "/chunks");
  Open();
  EXPECT_THAT(Problems(), testing::Contains(HasSubstr("chunk file 0 is not there")));
  EXPECT_EQ(Read(large, 0, 1).code(), Code::kCorrupt);
}

TEST_F(LocalEngineTest, ChunkFilesFollowTheirFiles) {
  Open();
  FileId file = Make(top_, "f");
  std::string block(1 << 20, 'b');
  constexpr uint64_t kChunk = 64u << 20;
  for (uint64_t at : {uint64_t{0}, kChunk - (1 << 19), 5 * kChunk}) Write(file, at, block);
  EXPECT_EQ(ChunkFileCount(), 3u);
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->space_used, 3u << 20);
  AttributeChange cut;
  cut.size = kChunk + 10;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, cut).ok());
  EXPECT_EQ(ChunkFileCount(), 2u);
  EXPECT_EQ(*Read(file, kChunk, 100), std::string(10, 'b'));
  cut.size = 0;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, cut).ok());
  EXPECT_EQ(ChunkFileCount(), 0u);
  Write(file, 3 * kChunk, block, Stability::kUnstable);
  EXPECT_EQ(ChunkFileCount(), 1u);
  ASSERT_TRUE(fs_->Remove(kRoot, top_, "f").ok());
  EXPECT_TRUE(WaitForChunkFiles(0));
  EXPECT_TRUE(Problems().empty());
}

TEST_F(LocalEngineTest, StrayChunkFilesGo) {
  Open();
  FileId file = Make(top_, "f");
  Write(file, 0, std::string(100'000, 'x'));
  engine_.reset();
  std::string path = ChunkFile();
  std::string folder = std::filesystem::path(path).parent_path();
  std::ofstream(folder + "/1.0") << "of a directory";
  std::ofstream(path.substr(0, path.size() - 1) + "7") << "of this one";
  std::ofstream(folder + "/3fffff.0") << "of none";
  Open();
  EXPECT_TRUE(Problems().empty());
  EXPECT_EQ(*Read(file, 0, 5), "xxxxx");
  EXPECT_LE(ChunkFileCount(), 2u);  // numbers that may yet be given out wait for the next start
}

// However soon after a crash the next run ends.
TEST_F(LocalEngineTest, StrayChunkFilesGoThoughAnEndCutTheLookForThemOff) {
  Open();
  Write(Make(top_, "f"), 0, std::string(100'000, 'x'));
  Kill();
  std::string path = ChunkFile();
  for (int i = 1; i <= 500; ++i) {
    std::ofstream(path.substr(0, path.size() - 1) + std::to_string(i)) << "beyond its end";
  }
  OpenEngine();
  engine_.reset();
  Open();
  EXPECT_TRUE(WaitForChunkFiles(1));
}

TEST_F(LocalEngineTest, DeletedFileSystemsLeaveNothing) {
  Open();
  uint32_t other = *engine_->CreateFileSystem();
  FileSystem& fs = **engine_->GetFileSystem(other);
  FileId root = *fs.RealmRoot(kRootRealm);
  auto made = fs.Create(kRoot, root, "f", {});
  std::string data(100'000, 'x');
  ASSERT_TRUE(fs.Write(kRoot, made->attributes.id, false, 0, std::as_bytes(std::span(data)),
                       Stability::kFileSync)
                  .ok());
  ASSERT_TRUE(engine_->DeleteFileSystem(other).ok());
  EXPECT_EQ(fs.GetAttributes(kRoot, root).code(), Code::kStale);
  EXPECT_TRUE(WaitForChunkFiles(0));
  // Its record goes with the last of its rows, be it after restarts.
  size_t rows = 0;
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    Open();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Tamper([&](Store& store, Batch&) {
      gone = !store.Get(Table::kMeta, FileSystemKey(other))->has_value();
      rows = 0;
      std::string prefix = FileSystemPrefix(other);
      for (Table table : {Table::kInodes, Table::kNames, Table::kChunks}) {
        ASSERT_TRUE(
            store.Scan(table, prefix, After(prefix), [&](auto, auto) { return ++rows < 100; })
                .ok());
      }
    });
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(rows, 0u);
}

TEST_F(LocalEngineTest, TrashIsReclaimedAfterARestart) {
  Open();
  auto realm = fs_->EnsureRealm("/tree", CreationInfo{});
  FileId at = *fs_->RealmRoot(*realm);
  for (int depth = 0; depth < 40; ++depth) {
    for (int i = 0; i < 10; ++i) Make(at, "f" + std::to_string(i));
    at = Make(at, "d", FileType::kDirectory);
  }
  ASSERT_TRUE(fs_->RemoveRealm(*realm, true).ok());
  Open();  // does not wait for the end of it
  for (int i = 0; i < 1000 && fs_->GetSpace(kRootRealm)->usage.files != 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(fs_->GetSpace(kRootRealm)->usage.files, 1u);
  EXPECT_TRUE(Problems().empty());
}

TEST_F(LocalEngineTest, AnInterruptedMoveIntoARealmIsFinished) {
  Open();
  FileId tree = Make(top_, "tree", FileType::kDirectory);
  for (int i = 0; i < 20; ++i) Make(tree, "f" + std::to_string(i));
  RealmId realm = *fs_->EnsureRealm("/tree", std::nullopt);
  // Half of it as it was before.
  Tamper([&](Store& store, Batch& batch) {
    RealmRecord record = *DecodeRealm(**store.Get(Table::kMeta, RealmKey(1, realm)));
    record.state = RealmState::kEntering;
    batch.Put(Table::kMeta, RealmKey(1, realm), Encode(record));
    for (uint64_t inode = tree.inode + 5; inode <= tree.inode + 14; ++inode) {
      InodeRecord file = *DecodeInode(**store.Get(Table::kInodes, InodeKey(1, inode)));
      file.realm = kRootRealm;
      batch.Put(Table::kInodes, InodeKey(1, inode), Encode(file));
      batch.AddUsage(UsageKey(1, realm), {0, -1});
    }
  });
  Open();
  EXPECT_EQ(fs_->GetSpace(realm)->usage.files, 21u);
  EXPECT_EQ(fs_->GetSpace(kRootRealm)->usage.files, 22u);
  EXPECT_TRUE(Problems().empty());
}

TEST_F(LocalEngineTest, ChangeAttributesDoNotGoBackAfterAKill) {
  Open();
  FileId file = Make(top_, "f");
  for (int i = 0; i < 10; ++i) Write(file, 0, "unstable", Stability::kUnstable);
  uint64_t shown = fs_->GetAttributes(kRoot, file)->change;
  TestDirectory copy;
  copy.CopyFrom(*directory_);
  LocalOptions options = options_;
  options.data_dir = copy.path() + "/data";
  auto killed = OpenLocalEngine(options);
  ASSERT_TRUE(killed.ok());
  FileSystem& fs = **(*killed)->GetFileSystem(1);
  EXPECT_GE(fs.GetAttributes(kRoot, file)->change, shown);
  EXPECT_EQ(fs.GetAttributes(kRoot, file)->size, 0u);
}

TEST_F(LocalEngineTest, SmallCachesChangeNothing) {
  options_.inodes_cached = 1;
  options_.files_open = 1;
  options_.dirty_files = 2;
  options_.dirty_bytes = 4096;
  Open();
  std::vector<FileId> files;
  for (int i = 0; i < 1500; ++i) files.push_back(Make(top_, "f" + std::to_string(i)));
  for (size_t i = 0; i < files.size(); i += 10) {
    Write(files[i], 0, std::string(i % 7 == 0 ? 40'000 : 4000, static_cast<char>('a' + i % 26)),
          Stability::kUnstable);
  }
  for (size_t i = 0; i < files.size(); i += 10) {
    EXPECT_EQ(*Read(files[i], 100, 3), std::string(3, static_cast<char>('a' + i % 26)));
  }
  EXPECT_TRUE(Problems().empty());
}

}  // namespace
}  // namespace tarn::local
