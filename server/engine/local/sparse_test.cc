// What sparse files and clones take on the disk, and what becomes of shared chunk files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "server/engine/local/chunk_row.h"
#include "server/engine/local/local_engine.h"
#include "server/engine/local/local_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr uint64_t kMiB = 1 << 20;
const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

class LocalSparse : public LocalFixture {
 protected:
  LocalSparse() { Open(); }
  ~LocalSparse() override { ExpectSound(); }

  FileId Make(const std::string& name) {
    auto made = fs_->Create(kRoot, top_, name, {});
    EXPECT_TRUE(made.ok());
    return made->attributes.id;
  }
  void Remove(const std::string& name) { ASSERT_TRUE(fs_->Remove(kRoot, top_, name).ok()); }

  void Write(FileId file, uint64_t offset, const std::string& text,
             Stability stability = Stability::kFileSync) {
    for (uint64_t done = 0; done < text.size();) {
      auto part = std::as_bytes(std::span(text)).subspan(done);
      part = part.first(std::min(part.size(), kIoBytesMax));
      auto written = fs_->Write(kRoot, file, false, offset + done, part, stability);
      ASSERT_TRUE(written.ok()) << written.error().ToString();
      done += written->bytes;
    }
  }
  std::string Read(FileId file, uint64_t offset, size_t length) {
    std::string text;
    while (text.size() < length) {
      std::string part(std::min(length - text.size(), kIoBytesMax), '?');
      auto read = fs_->Read(kRoot, file, false, offset + text.size(),
                            std::as_writable_bytes(std::span(part)));
      EXPECT_TRUE(read.ok()) << read.error().ToString();
      if (!read.ok() || read->bytes == 0) break;
      text += part.substr(0, read->bytes);
    }
    return text;
  }
  void Clone(FileId source, FileId target) {
    auto cloned = fs_->Clone(kRoot, {.file = source}, {.file = target}, 0);
    ASSERT_TRUE(cloned.ok()) << cloned.error().ToString();
  }

  // What the chunk files take of the disk.
  uint64_t DiskBytes() const {
    uint64_t bytes = 0;
    std::error_code gone;
    std::filesystem::recursive_directory_iterator at(options_.data_dir + "/chunks", gone);
    for (; !gone && at != std::filesystem::recursive_directory_iterator(); at.increment(gone)) {
      struct stat now {};
      bool file = ::stat(at->path().c_str(), &now) == 0 && S_ISREG(now.st_mode);
      if (file) bytes += static_cast<uint64_t>(now.st_blocks) * 512;
    }
    return bytes;
  }
  // The engine's thread gives room back in its own time.
  ::testing::AssertionResult DiskBytesFallTo(uint64_t bytes) const {
    for (int i = 0; i < 2000 && DiskBytes() > bytes; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (DiskBytes() <= bytes) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "chunk files take " << DiskBytes() << " bytes";
  }
  void ExpectSound() {
    auto problems = fs_->Check([](std::string_view line) { ADD_FAILURE() << line; });
    ASSERT_TRUE(problems.ok());
    EXPECT_EQ(*problems, 0u);
  }
};

TEST_F(LocalSparse, DeallocateGivesRoomBackAndAllocateTakesIt) {
  FileId file = Make("f");
  Write(file, 0, std::string(8 * kMiB, 'x'));
  ASSERT_GE(DiskBytes(), 8 * kMiB);
  ASSERT_TRUE(fs_->Deallocate(kRoot, file, false, kMiB, 6 * kMiB).ok());
  EXPECT_LT(DiskBytes(), 3 * kMiB);
  ASSERT_TRUE(fs_->Allocate(kRoot, file, false, 0, 16 * kMiB).ok());
  EXPECT_GE(DiskBytes(), 16 * kMiB);
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->size, 16 * kMiB);
  EXPECT_TRUE(Read(file, kMiB, 6 * kMiB) == std::string(6 * kMiB, '\0'));
  ASSERT_TRUE(fs_->Deallocate(kRoot, file, false, 0, 16 * kMiB).ok());
  EXPECT_EQ(DiskBytes(), 0u);
}

// A crash between the row that says hole and the hole itself, or the end of a file.
TEST_F(LocalSparse, WhatACrashLeftInHolesGoesBack) {
  FileId file = Make("f");
  FileId clone = Make("clone");
  for (FileId each : {file, clone}) {
    Write(each, 0, std::string(2 * kMiB, 'x'));
    Clone(each, Make("of" + std::to_string(each.inode)));
    Write(each, 0, std::string(2 * kMiB, 'y'));  // so its own file is named after a number
    ASSERT_TRUE(fs_->Deallocate(kRoot, each, false, kMiB / 2, kMiB).ok());
  }
  uint64_t before = DiskBytes();
  Open();
  for (auto& at : std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
    if (!at.is_regular_file()) continue;
    std::fstream out(at.path(), std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(kMiB / 2 + 65536);
    out << std::string(65536, 'o');
    out.seekp(2 * kMiB);
    out << std::string(65536, 'o');
  }
  ASSERT_GT(DiskBytes(), before);
  ExpectSound();
  // The shared ones, which are whole, keep what was added.
  EXPECT_LE(DiskBytes(), before + 2 * 65536);
  EXPECT_TRUE(Read(file, kMiB / 2, kMiB) == std::string(kMiB, '\0'));
}

TEST_F(LocalSparse, AllocateOverManyChunks) {
  FileId file = Make("f");
  ASSERT_TRUE(fs_->Allocate(kRoot, file, false, 60 * kMiB, 10 * kMiB).ok());
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->space_used, 10 * kMiB);
  ASSERT_TRUE(fs_->Deallocate(kRoot, file, false, 63 * kMiB, 2 * kMiB).ok());
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->space_used, 8 * kMiB);
  EXPECT_LE(DiskBytes(), 8 * kMiB + 65536);
}

TEST_F(LocalSparse, ACloneTakesNoRoom) {
  FileId file = Make("f");
  std::string text(8 * kMiB, 'x');
  Write(file, 0, text);
  uint64_t before = DiskBytes();
  for (int i = 0; i < 10; ++i) Clone(file, Make("clone" + std::to_string(i)));
  EXPECT_EQ(DiskBytes(), before);
  FileId last = fs_->Lookup(kRoot, top_, "clone9")->id;
  Write(last, 100, "small");  // a block or two, not the chunk
  EXPECT_LE(DiskBytes(), before + 64 * 1024);
  EXPECT_TRUE(Read(file, 0, 8 * kMiB) == text);
  ExpectSound();
  Open();
  EXPECT_EQ(Read(last, 98, 9), "xxsmallxx");
  Remove("f");
  for (int i = 0; i < 9; ++i) Remove("clone" + std::to_string(i));
  EXPECT_EQ(Read(last, 98, 9), "xxsmallxx");
  ExpectSound();
  Remove("clone9");
  EXPECT_TRUE(DiskBytesFallTo(0));
}

TEST_F(LocalSparse, AHoleThatIsClonedFreesWhatItCovers) {
  FileId hole = Make("hole");
  Write(hole, 2 * kMiB, std::string(kMiB, 'x'));
  FileId file = Make("f");
  Write(file, 0, std::string(kMiB, 'y'));
  auto cloned = fs_->Clone(kRoot, {.file = hole}, {.file = file}, 2 * kMiB);
  ASSERT_TRUE(cloned.ok()) << cloned.error().ToString();
  EXPECT_EQ(fs_->GetAttributes(kRoot, file)->space_used, 0u);
  EXPECT_TRUE(DiskBytesFallTo(kMiB + 65536));
  Write(file, 0, std::string(kMiB, 'z'));
  EXPECT_TRUE(Read(file, 0, 2 * kMiB) == std::string(kMiB, 'z') + std::string(kMiB, '\0'));
}

TEST_F(LocalSparse, BlocksThatNobodyUsesAnyMoreGoBack) {
  FileId file = Make("f");
  FileId clone = Make("clone");
  Write(file, 0, std::string(8 * kMiB, 'x'));
  Clone(file, clone);
  Write(file, 0, std::string(8 * kMiB, 'y'));  // the clone alone has the old ones
  EXPECT_GE(DiskBytes(), 16 * kMiB);
  ASSERT_TRUE(fs_->Deallocate(kRoot, clone, false, 0, 6 * kMiB).ok());
  EXPECT_TRUE(DiskBytesFallTo(10 * kMiB + 65536));
  EXPECT_TRUE(Read(clone, 6 * kMiB, 2 * kMiB) == std::string(2 * kMiB, 'x'));
  Write(clone, 6 * kMiB, std::string(2 * kMiB, 'z'));
  EXPECT_TRUE(DiskBytesFallTo(10 * kMiB + 65536));
  EXPECT_TRUE(Read(file, 0, 8 * kMiB) == std::string(8 * kMiB, 'y'));
}

// The engine's thread looks at a shared file while its last user leaves it.
TEST_F(LocalSparse, NoMarkIsLostWhileAFileIsLookedAt) {
  for (int round = 0; round < 60; ++round) {
    FileId file = Make("f");
    FileId clone = Make("clone");
    Write(file, 0, std::string(128 << 10, 'x'));
    Clone(file, clone);
    Remove("f");
    for (uint64_t at = 0; at < 128 << 10; at += 32 << 10) {
      Write(clone, at, std::string(32 << 10, 'y'));
    }
    ASSERT_TRUE(DiskBytesFallTo(128 << 10)) << round;
    Remove("clone");
    ASSERT_TRUE(DiskBytesFallTo(0)) << round;
  }
}

TEST_F(LocalSparse, ATruncatedCloneLeavesItsSourceAlone) {
  FileId file = Make("f");
  FileId clone = Make("clone");
  Write(file, 0, std::string(kMiB, 'x'));
  Clone(file, clone);
  AttributeChange cut;
  cut.size = 0;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, cut).ok());
  Write(file, 0, std::string(kMiB, 'y'));
  EXPECT_TRUE(Read(clone, 0, kMiB) == std::string(kMiB, 'x'));
  ExpectSound();
  cut.size = 5000;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, clone, cut).ok());
  EXPECT_TRUE(DiskBytesFallTo(kMiB + 65536));
  Write(clone, 200'000, "tail");
  EXPECT_TRUE(Read(clone, 0, 200'004) ==
              std::string(5000, 'x') + std::string(195'000, '\0') + "tail");
  Remove("f");
  Remove("clone");
  EXPECT_TRUE(DiskBytesFallTo(0));
}

TEST_F(LocalSparse, AnOpenCloneOutlivesItsNameAndItsSource) {
  FileId file = Make("f");
  FileId clone = Make("clone");
  Write(file, 0, std::string(kMiB, 'x'));
  Clone(file, clone);
  ASSERT_TRUE(fs_->Open(kRoot, clone, true, true).ok());
  Write(clone, 0, "unstable", Stability::kUnstable);
  Remove("clone");
  Remove("f");
  EXPECT_TRUE(Read(clone, 0, 12) == "unstablexxxx");
  fs_->Unpin(clone);
  EXPECT_TRUE(DiskBytesFallTo(0));
}

// More files than one chunk may share: the rest is copied.
TEST_F(LocalSparse, AChunkOfManySources) {
  constexpr uint64_t kPart = 128 << 10;
  FileId target = Make("target");
  std::string model;
  for (size_t i = 0; i < 2 * kSharedMax; ++i) {
    FileId source = Make("source" + std::to_string(i));
    Write(source, 0, std::string(kPart, static_cast<char>('a' + i)));
    DataPlace to{.file = target, .offset = i * kPart};
    ASSERT_TRUE(fs_->Clone(kRoot, {.file = source}, to, 0).ok());
    model += std::string(kPart, static_cast<char>('a' + i));
  }
  EXPECT_TRUE(Read(target, 0, model.size()) == model);
  EXPECT_EQ(fs_->GetAttributes(kRoot, target)->space_used, model.size());
  // And on, from what is shared and owned in turns.
  FileId again = Make("again");
  DataPlace to{.file = again, .offset = 63 * kMiB};
  ASSERT_TRUE(fs_->Clone(kRoot, {.file = target}, to, 0).ok());
  EXPECT_TRUE(Read(again, 63 * kMiB, model.size()) == model);
  ExpectSound();
  Open();
  EXPECT_TRUE(Read(target, 0, model.size()) == model);
  EXPECT_TRUE(Read(again, 63 * kMiB, model.size()) == model);
}

TEST_F(LocalSparse, RandomChangesOfFilesThatShare) {
  constexpr size_t kFiles = 4;
  constexpr uint64_t kBlocks = 300;
  std::mt19937 random(42);
  std::vector<FileId> files;
  std::vector<std::string> models(kFiles);
  for (size_t i = 0; i < kFiles; ++i) files.push_back(Make("f" + std::to_string(i)));
  for (int step = 0; step < 400; ++step) {
    size_t a = random() % kFiles;
    size_t b = random() % kFiles;
    uint64_t offset = random() % kBlocks * kBlockBytes;
    uint64_t length = (1 + random() % 60) * kBlockBytes;
    uint64_t to = random() % kBlocks * kBlockBytes;
    std::string& model = models[a];
    switch (random() % 5) {
      case 0:
      case 1: {
        std::string text(1 + random() % 50'000, static_cast<char>('a' + step % 26));
        uint64_t at = offset + random() % 5000;
        Write(files[a], at, text, static_cast<Stability>(random() % 3));
        if (model.size() < at + text.size()) model.resize(at + text.size());
        model.replace(at, text.size(), text);
        break;
      }
      case 2: {
        DataPlace source{.file = files[a], .offset = offset};
        auto done = fs_->Clone(kRoot, source, {.file = files[b], .offset = to}, length);
        if (!done.ok()) break;  // not all there, or overlapping
        std::string part = model.substr(offset, length);
        if (models[b].size() < to + length) models[b].resize(to + length);
        models[b].replace(to, length, part);
        break;
      }
      case 3:
        ASSERT_TRUE(fs_->Deallocate(kRoot, files[a], false, offset + 10, length).ok());
        for (uint64_t i = offset + 10; i < std::min(model.size(), offset + 10 + length); ++i) {
          model[i] = '\0';
        }
        break;
      default: {
        if (random() % 4 != 0) break;
        AttributeChange cut;
        cut.size = offset + random() % 5000;
        ASSERT_TRUE(fs_->SetAttributes(kRoot, files[a], cut).ok());
        model.resize(*cut.size);
        break;
      }
    }
    if (step % 100 == 99) {
      ExpectSound();
      Open();
    }
    ASSERT_TRUE(Read(files[a], 0, model.size() + 1) == model) << step;
    ASSERT_TRUE(Read(files[b], 0, models[b].size() + 1) == models[b]) << step;
  }
  for (size_t i = 0; i < kFiles; ++i) Remove("f" + std::to_string(i));
  EXPECT_TRUE(DiskBytesFallTo(0));
}

TEST(LocalChunkRow, ComesBackAndIsChecked) {
  ChunkRow row;
  row.map.Set(0, 10);
  row.StartSharing({5, 6});
  row.ShareOwn();
  row.map.Set(100, 120);
  row.sharing->own = {7, 8};
  ChunkRow other;
  other.StartSharing({9, 9});
  ASSERT_TRUE(other.TakeShared(row, 2, 8, 1000));
  EXPECT_EQ(other.Count(0, kChunkBlocks), 6u);
  EXPECT_EQ(other.sharing->shared[0].delta, -998);
  EXPECT_EQ(other.Run(1000, kChunkBlocks), 6u);
  EXPECT_EQ(other.Run(0, kChunkBlocks), 1000u);
  for (const ChunkRow* each : {&row, &other}) {
    auto back = ChunkRow::Decode(each->Encode());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->Encode(), each->Encode());
    EXPECT_EQ(back->Files(), each->Files());
  }
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = row.Encode();
    bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % (bytes.size() + 1));
    auto decoded = ChunkRow::Decode(bytes);
    if (decoded.ok()) (void)decoded->Encode();
  }
}

}  // namespace
}  // namespace tarn::local
