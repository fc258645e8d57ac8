// Tables, sizes and times as people read and write them.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace tarn::cli {

// Rows of equal length; columns are as wide as their longest cell, numbers stand right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "Key:  value" lines, the values below each other; an empty value is "-".
void PrintFacts(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& facts);

std::string Bytes(uint64_t bytes);    // "1.5 GiB"
std::string Limit(uint64_t bytes);    // the same; "none" for 0
std::string Moment(int64_t seconds);  // "2026-11-26 19:30 UTC"
std::string OrDash(std::string text);

// "10GiB", "10G", "1.5T", "4096", "none". kInvalid names the flag.
Result<uint64_t> ParseBytes(std::string_view flag, std::string_view text);
// "KEY=VALUE".
Result<std::pair<std::string, std::string>> ParseTag(std::string_view text);
// "UID:GID" and "START-END".
Result<std::pair<uint32_t, uint32_t>> ParsePair(std::string_view flag, std::string_view text,
                                                char separator);

}  // namespace tarn::cli
