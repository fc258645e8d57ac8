#include "csi/mount/mount_info.h"

#include <fstream>
#include <sstream>

namespace tarn::csi {
namespace {

// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1;
    };
    if (text[i] == '\\' && digit(i + 1) >= 0 && digit(i + 2) >= 0 && digit(i + 3) >= 0) {
      plain += static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    size_t at = line.find(' ');
    if (at != 0) words.push_back(line.substr(0, at));
    if (at == std::string_view::npos) break;
    line.remove_prefix(at + 1);
  }
  return words;
}

std::optional<MountEntry> ParseLine(std::string_view line) {
  auto words = Words(line);
  size_t dash = 6;  // after six fixed fields and any number of tags
  while (dash < words.size() && words[dash] != "-") ++dash;
  if (dash + 2 >= words.size()) return std::nullopt;
  MountEntry entry;
  entry.id = std::atoi(std::string(words[0]).c_str());
  entry.device = words[2];
  entry.root = Unescape(words[3]);
  entry.target = Unescape(words[4]);
  entry.options = words[5];
  entry.type = Unescape(words[dash + 1]);
  entry.source = Unescape(words[dash + 2]);
  if (dash + 3 < words.size()) entry.super_options = Unescape(words[dash + 3]);
  return entry;
}

}  // namespace

std::vector<MountEntry> ParseMountInfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  while (!text.empty()) {
    size_t end = text.find('\n');
    if (auto entry = ParseLine(text.substr(0, end))) mounts.push_back(std::move(entry).value());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return mounts;
}

Result<std::vector<MountEntry>> ReadMountInfo(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return Error(Code::kInternal, "cannot read " + path);
  return ParseMountInfo(text.str());
}

std::optional<MountEntry> FindMount(const std::vector<MountEntry>& mounts,
                                    std::string_view target) {
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->target == target) return *mount;
  }
  return std::nullopt;
}

}  // namespace tarn::csi
