#include "tests/kernel/load/content.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace tarn::load {
namespace {

uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace

uint64_t Hash(std::string_view bytes) {
  uint64_t hash = bytes.size();
  while (!bytes.empty()) {
    uint64_t word = 0;
    size_t taken = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    hash = Mix(hash + 0x9e3779b97f4a7c15U + word);
    bytes.remove_prefix(taken);
  }
  return hash;
}

std::string Bytes(uint64_t number, uint64_t at, size_t count) {
  const uint64_t first = at / 8;
  const uint64_t words = (at + count + 7) / 8 - first;
  std::string whole(words * 8, '\0');
  for (uint64_t i = 0; i < words; ++i) {
    uint64_t word = Mix(number * 0x9e3779b97f4a7c15U + first + i);
    std::memcpy(whole.data() + i * 8, &word, sizeof word);
  }
  return whole.substr(at % 8, count);
}

std::string Difference(std::string_view wanted, std::string_view got) {
  if (wanted == got) return "";
  auto [want, have] = std::mismatch(wanted.begin(), wanted.end(), got.begin(), got.end());
  if (want == wanted.end() || have == got.end()) {
    return std::to_string(got.size()) + " bytes instead of " + std::to_string(wanted.size());
  }
  const size_t at = want - wanted.begin();
  size_t wrong = 0;
  for (size_t i = at; i < std::min(wanted.size(), got.size()); ++i) wrong += wanted[i] != got[i];
  char text[120];
  std::snprintf(text, sizeof text, "at %zu: %02x instead of %02x; %zu bytes of %zu differ", at,
                static_cast<uint8_t>(*have), static_cast<uint8_t>(*want), wrong, wanted.size());
  std::string difference = text;
  if (got.size() != wanted.size()) difference += ", size is " + std::to_string(got.size());
  return difference;
}

}  // namespace tarn::load
