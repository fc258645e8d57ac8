// Each sync of the list of tables covers one record, however RocksDB hands the bytes over.
#include "server/engine/local/manifest_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "server/engine/local/little.h"

namespace tarn::local {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// What a file was given, and where it was synced.
struct Seen {
  std::string bytes;
  std::vector<size_t> synced;
};

class SeenFile : public FSWritableFile {
 public:
  explicit SeenFile(Seen& seen) : seen_(seen) {}
  using FSWritableFile::Append;
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    seen_.bytes += data.ToStringView();
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    seen_.synced.push_back(seen_.bytes.size());
    return IOStatus::OK();
  }

 private:
  Seen& seen_;
};

class SeenFiles : public rocksdb::FileSystemWrapper {
 public:
  explicit SeenFiles(Seen& seen) : FileSystemWrapper(rocksdb::FileSystem::Default()), seen_(seen) {}
  const char* Name() const override { return "SeenFiles"; }
  IOStatus NewWritableFile(const std::string&, const FileOptions&,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext*) override {
    *file = std::make_unique<SeenFile>(seen_);
    return IOStatus::OK();
  }

 private:
  Seen& seen_;
};

// Records in RocksDB's format of logs; where each ends.
struct Records {
  std::string bytes;
  std::vector<size_t> ends;

  void Add(size_t size) {
    bool first = true;
    do {
      size_t room = 32768 - bytes.size() % 32768;
      if (room < 7) bytes.append(room, '\0');
      room = 32768 - bytes.size() % 32768 - 7;
      size_t part = std::min(size, room);
      bool last = part == size;
      PutLittle(bytes, 0, 4);
      PutLittle(bytes, part, 2);
      bytes.push_back(static_cast<char>(first && last ? 1 : first ? 2 : last ? 4 : 3));
      bytes.append(part, 'x');
      size -= part;
      first = false;
      if (last) break;
    } while (true);
    ends.push_back(bytes.size());
  }
};

std::unique_ptr<FSWritableFile> NewFile(Seen& seen, const std::string& path) {
  auto files = NewManifestFiles(std::make_shared<SeenFiles>(seen));
  std::unique_ptr<FSWritableFile> file;
  EXPECT_TRUE(files->NewWritableFile(path, {}, &file, nullptr).ok());
  return file;
}

TEST(ManifestFiles, ASyncComesBeforeEachRecordThatFollowsAnother) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    Records records;
    for (int i = 0; i < 60; ++i)
      records.Add(random() % 8 == 0 ? random() % 80'000 : random() % 300);
    records.Add(32768 - 7 - records.bytes.size() % 32768 - 5);  // leaves too little for a header
    records.Add(10);
    Seen seen;
    auto file = NewFile(seen, "/meta/MANIFEST-000004");
    size_t until = records.ends[2];
    ASSERT_TRUE(file->Append({records.bytes.data(), until}, {}, nullptr).ok());
    EXPECT_THAT(seen.synced, testing::IsEmpty()) << "nobody refers to it before its first sync";
    ASSERT_TRUE(file->Sync({}, nullptr).ok());
    while (until < records.bytes.size()) {
      size_t bytes = std::min<size_t>(1 + random() % 5000, records.bytes.size() - until);
      ASSERT_TRUE(file->Append({records.bytes.data() + until, bytes}, {}, nullptr).ok());
      until += bytes;
    }
    ASSERT_TRUE(file->Sync({}, nullptr).ok());
    EXPECT_EQ(seen.bytes, records.bytes);
    // Behind the record, or behind what fills its block.
    std::vector<size_t> synced;
    for (size_t at : seen.synced) {
      auto end = std::upper_bound(records.ends.begin(), records.ends.end(), at);
      ASSERT_NE(end, records.ends.begin());
      EXPECT_LT(at - *std::prev(end), 7u);
      synced.push_back(*std::prev(end));
    }
    EXPECT_THAT(synced, testing::ElementsAreArray(records.ends.begin() + 2, records.ends.end()));
  }
}

TEST(ManifestFiles, OtherFilesAreSyncedWhenRocksDbSaysSo) {
  Records records;
  for (int i = 0; i < 10; ++i) records.Add(100);
  Seen seen;
  auto file = NewFile(seen, "/meta/000007.log");
  ASSERT_TRUE(file->Sync({}, nullptr).ok());
  ASSERT_TRUE(file->Append(records.bytes, {}, nullptr).ok());
  EXPECT_EQ(seen.synced.size(), 1u);
}

}  // namespace
}  // namespace tarn::local
