// Small forms of text in command lines and files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace tarn::mount {

// Without white space at both ends.
std::string Trim(std::string_view text);
bool HasControlCharacter(std::string_view text);

// "[section]", "key = value", comments of "#" and ";": by section, then key. A later value wins.
// What is none of these is left out; keys before the first section are in section "".
using Ini = std::map<std::string, std::map<std::string, std::string>>;
Ini ParseIni(std::string_view text);

}  // namespace tarn::mount
