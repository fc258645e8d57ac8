// What a file must hold that only one worker changes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tarn::load {

struct OwnedFile {
  std::string bytes;
  int links = 1;
  mode_t mode = 0644;
  std::map<std::string, std::string> attributes;  // user.*

  // As write(2): what lies between the end and `at` becomes zeros.
  void Put(std::string_view data, uint64_t at);
  void Resize(uint64_t size) { bytes.resize(size); }
  // As a hole is punched: what lies behind the end stays so.
  void Clear(uint64_t at, uint64_t count);
};

}  // namespace tarn::load
