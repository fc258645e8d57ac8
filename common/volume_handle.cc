#include "common/volume_handle.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "common/ids.h"

namespace tarn {
namespace {

// The fields, without the "efs" before them.
std::vector<std::string> HandleFields(const std::string& handle) {
  std::vector<std::string> out;
  size_t at = 0;
  while (at <= handle.size()) {
    size_t end = std::min(handle.find(':', at), handle.size());
    out.push_back(handle.substr(at, end - at));
    at = end + 1;
  }
  if (!out.empty() && !out[0].starts_with(kFileSystemPrefix)) out.erase(out.begin());
  return out;
}

}  // namespace

bool IsAttribute(std::string_view given, std::string_view name) {
  return std::equal(given.begin(), given.end(), name.begin(), name.end(),
                    [](unsigned char a, char b) { return std::tolower(a) == b; });
}

std::optional<bool> ParseAttributeFlag(std::string_view value) {
  for (const char* yes : {"true", "t", "1"}) {
    if (IsAttribute(value, yes)) return true;
  }
  for (const char* no : {"false", "f", "0"}) {
    if (IsAttribute(value, no)) return false;
  }
  return std::nullopt;
}

std::string FileSystemIdOfHandle(const std::string& handle) {
  auto fields = HandleFields(handle);
  return !fields.empty() && fields[0].starts_with(kFileSystemPrefix) ? fields[0] : std::string();
}

std::string AccessPointIdOfHandle(const std::string& handle) {
  auto fields = HandleFields(handle);
  return fields.size() > 1 && fields.back().starts_with(kAccessPointPrefix) ? fields.back()
                                                                            : std::string();
}

}  // namespace tarn
