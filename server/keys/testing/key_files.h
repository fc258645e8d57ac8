// For tests of keys: a directory of key files that goes with its owner.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace tarn::keys {

class KeyFiles {
 public:
  KeyFiles() {
    char name[] = "/tmp/tarn-keys-XXXXXX";
    path_ = mkdtemp(name);
  }
  KeyFiles(const KeyFiles&) = delete;
  KeyFiles& operator=(const KeyFiles&) = delete;
  ~KeyFiles() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& content, mode_t mode = 0600) const {
    const std::string whole = File(name);
    std::ofstream(whole, std::ios::binary | std::ios::trunc) << content;
    chmod(whole.c_str(), mode);
  }
  void Remove(const std::string& name) const { std::filesystem::remove_all(File(name)); }

 private:
  std::string path_;
};

}  // namespace tarn::keys
