#include "server/vfs/names.h"

#include <string>

#include "server/vfs/types.h"

namespace tarn::vfs {

Result<void> CheckName(std::string_view name) {
  if (name.size() > kNameBytesMax) return Error(Code::kNameTooLong);
  bool special = name.empty() || name == "." || name == "..";
  if (special || name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return Error(Code::kInvalid);
  }
  return Ok();
}

Result<void> CheckXattrName(std::string_view name) {
  if (name.size() > kXattrNameBytesMax) return Error(Code::kNameTooLong);
  if (name.empty() || name.find('\0') != std::string_view::npos) return Error(Code::kInvalid);
  return Ok();
}

Result<std::vector<std::string_view>> SplitPath(std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return Error(Code::kInvalid,
                 "path \"" + std::string(path) + "\" is not absolute: begin it with /");
  }
  std::vector<std::string_view> components;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string_view name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty()) continue;
    auto fine = CheckName(name);
    if (!fine.ok()) {
      return Error(fine.code(), "path \"" + std::string(path) +
                                    "\" has a component that is no name: " + std::string(name));
    }
    components.push_back(name);
  }
  return components;
}

}  // namespace tarn::vfs
