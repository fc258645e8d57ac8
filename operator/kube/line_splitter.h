// LineSplitter: whole lines out of pieces that end anywhere. A line above the limit is an error,
// not memory.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tarn::kube {

inline constexpr size_t kMaxWatchLine = 16u << 20;

class LineSplitter {
 public:
  using OnLine = std::function<void(std::string_view)>;
  explicit LineSplitter(OnLine on_line, size_t limit = kMaxWatchLine)
      : on_line_(std::move(on_line)), limit_(limit) {}

  // False: a line is too long; nothing more is accepted.
  bool Put(std::string_view bytes) {
    for (;;) {
      size_t end = bytes.find('\n');
      size_t take = end == std::string_view::npos ? bytes.size() : end;
      if (buffer_.size() + take > limit_) return false;
      buffer_.append(bytes.substr(0, take));
      if (end == std::string_view::npos) return true;
      if (!buffer_.empty()) on_line_(buffer_);
      buffer_.clear();
      bytes.remove_prefix(end + 1);
    }
  }

  // What came after the last newline.
  const std::string& rest() const { return buffer_; }

 private:
  OnLine on_line_;
  size_t limit_;
  std::string buffer_;
};

}  // namespace tarn::kube
