#include "mount/text.h"

#include <algorithm>

#include "common/text.h"

namespace tarn::mount {

std::string Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), IsControl);
}

Ini ParseIni(std::string_view text) {
  Ini ini;
  std::string section;
  for (std::string_view raw : Split(text, '\n')) {
    std::string line = Trim(raw);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = Trim(std::string_view(line).substr(1, line.size() - 2));
      continue;
    }
    size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    ini[section][Trim(line.substr(0, equals))] = Trim(line.substr(equals + 1));
  }
  return ini;
}

}  // namespace tarn::mount
