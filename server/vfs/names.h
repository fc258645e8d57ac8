// Names of directory entries: the rules that every engine applies alike.
#pragma once

#include <string_view>
#include <vector>

#include "common/result.h"

namespace tarn::vfs {

// Ok for one component as file_system.h wants it; else kInvalid or kNameTooLong.
Result<void> CheckName(std::string_view name);

// Ok for the name of an extended attribute; else kInvalid or kNameTooLong.
Result<void> CheckXattrName(std::string_view name);

// The components of an absolute path; "/" has none and repeated or trailing slashes count once.
// kInvalid, with a message, for a path that is not absolute or has "." or ".." in it.
// The views point into `path`.
Result<std::vector<std::string_view>> SplitPath(std::string_view path);

}  // namespace tarn::vfs
