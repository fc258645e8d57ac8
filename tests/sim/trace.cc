#include "tests/sim/trace.h"

#include <cstdio>

namespace tarn::sim {

void Trace::Note(const std::string& line) {
  for (char byte : line) hash_ = (hash_ ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  if (print_) std::printf("%s\n", line.c_str());
  lines_.push_back(line);
  if (lines_.size() > kLinesKept) lines_.pop_front();
}

void Trace::Fail(const std::string& what) {
  if (failed()) return;
  failure_ = what;
  Note("FAILED: " + what);
}

}  // namespace tarn::sim
