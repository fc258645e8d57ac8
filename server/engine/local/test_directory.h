// TestDirectory: a directory below the system's temporary one, removed at the end. For tests.
#pragma once

#include <cstdlib>
#include <filesystem>
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

  // All files of another, holes as holes.
  void CopyFrom(const TestDirectory& other) {
    std::string command = "cp -a --sparse=always '" + other.path_ + "/.' '" + path_ + "'";
    if (std::system(command.c_str()) != 0) std::abort();
  }

 private:
  std::string path_;
};

}  // namespace tarn::local
