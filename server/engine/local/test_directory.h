// TestDirectory: a directory below the system's temporary one, removed at the end. For tests.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

namespace tarn::local {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "tarn-local-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::string& path() const { return path_; }

  // All files of another, holes as holes. An engine may be running there, whose threads make and
  // remove files; a copy during which they did is no state that a killed process leaves, and is
  // made again.
  void CopyFrom(const TestDirectory& other) {
    constexpr int kTries = 50;
    std::string command =
        "cp -a --sparse=always '" + other.path_ + "/.' '" + path_ + "' 2>/dev/null";
    for (int i = 0; i < kTries; ++i) {
      auto before = other.Files();
      if (std::system(command.c_str()) == 0 && other.Files() == before) return;
      std::filesystem::remove_all(path_);
      std::filesystem::create_directory(path_);
    }
    std::abort();
  }

 private:
  std::set<std::string> Files() const {
    std::set<std::string> files;
    std::error_code gone;
    std::filesystem::recursive_directory_iterator at(path_, gone);
    for (; !gone && at != std::filesystem::recursive_directory_iterator(); at.increment(gone)) {
      files.insert(at->path());
    }
    return files;
  }

  std::string path_;
};

}  // namespace tarn::local
