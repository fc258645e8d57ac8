// What a simulation did, as lines: a hash over all of them shows that a seed replays, the last ones
// show how a failure came about.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace tarn::sim {

class Trace {
 public:
  static constexpr size_t kLinesKept = 400;
  explicit Trace(bool print) : print_(print) {}

  void Note(const std::string& line);
  // The first one counts.
  void Fail(const std::string& what);
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  uint64_t hash() const { return hash_; }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  const bool print_;
  uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a
  std::deque<std::string> lines_;
  std::string failure_;
};

}  // namespace tarn::sim
