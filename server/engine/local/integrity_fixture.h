// What the tests of data at rest stand on: a file system whose files can be damaged on the disk.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "server/engine/local/local_fixture.h"

namespace tarn::local {

inline const vfs::Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};
inline constexpr size_t kBlock = 4096;

inline std::string Pattern(size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class Integrity : public LocalFixture {
 protected:
  Integrity() {
    options_.journal_apply_after = std::chrono::hours(1);  // tests say when
    Open();
  }

  void Close() { engine_.reset(); }

  vfs::FileId Make(const std::string& name) {
    return fs_->Create(kRoot, top_, name, {}).value().attributes.id;
  }
  void Write(vfs::FileId file, uint64_t offset, const std::string& text,
             vfs::Stability stability = vfs::Stability::kUnstable) {
    for (size_t done = 0; done < text.size();) {
      auto part = std::string_view(text).substr(done, vfs::kIoBytesMax);
      auto written =
          fs_->Write(kRoot, file, false, offset + done, std::as_bytes(std::span(part)), stability);
      ASSERT_TRUE(written.ok()) << written.error().ToString();
      done += written->bytes;
    }
  }
  void Commit(vfs::FileId file) { ASSERT_TRUE(fs_->Commit(kRoot, file, 0, 0).ok()); }
  Result<std::string> Read(vfs::FileId file, uint64_t offset, size_t length) {
    std::string text(length, '?');
    size_t done = 0;
    for (bool end = false; !end && done < length;) {
      auto part = std::as_writable_bytes(std::span(text)).subspan(done);
      part = part.first(std::min(part.size(), vfs::kIoBytesMax));
      TRY(auto read, fs_->Read(kRoot, file, false, offset + done, part));
      done += read.bytes;
      end = read.end_of_file;
    }
    text.resize(done);
    return text;
  }
  std::vector<std::string> Scrub(vfs::ScrubCounts* counts = nullptr) {
    std::vector<std::string> lines;
    auto report = [&](std::string_view line) { lines.emplace_back(line); };
    auto pace = [](uint64_t) { return true; };
    auto files = fs_->Scrub(pace, report);
    auto tables = engine_->ScrubTables(pace, report);
    EXPECT_TRUE(files.ok() && tables.ok());
    if (counts != nullptr && files && tables) {
      *counts = *files;
      counts->Add(*tables);
      EXPECT_EQ(counts->problems, lines.size());
    }
    return lines;
  }
  std::vector<std::string> Check() {
    std::vector<std::string> lines;
    EXPECT_TRUE(fs_->Check([&](std::string_view line) { lines.emplace_back(line); }).ok());
    return lines;
  }

  std::string ChunkPath(vfs::FileId file) {
    char hex[32];
    std::snprintf(hex, sizeof(hex), "%llx.0", static_cast<unsigned long long>(file.inode));
    for (auto& entry :
         std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
      if (entry.path().filename() == hex) return entry.path();
    }
    return {};
  }
  std::vector<std::string> ChunkFilesLeft() {
    std::vector<std::string> paths;
    for (auto& entry :
         std::filesystem::recursive_directory_iterator(options_.data_dir + "/chunks")) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    return paths;
  }
  void Flip(const std::string& path, uint64_t offset, int bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    char byte = 0;
    ASSERT_TRUE(file.get(byte)) << path << " at " << offset;
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1 << bit));
  }
};

}  // namespace tarn::local
