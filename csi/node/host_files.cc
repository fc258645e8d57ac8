#include "csi/node/host_files.h"

#include <filesystem>

#include "common/files.h"

namespace tarn::csi {
namespace {

constexpr const char* kRegistry = "registry/";
constexpr const char* kAuthority = "nfs-ca.crt";

// A name that leads nowhere else.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos && name[0] != '.';
}

}  // namespace

Result<void> HostFiles::Put(const std::string& name, const std::string& text) {
  auto found = written_.find(name);
  const std::string path = directory_ + "/" + name;
  std::error_code failed;
  if (found != written_.end() && found->second == text && std::filesystem::exists(path, failed)) {
    return Ok();
  }
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  TRY(ReplaceFile(path, text, 0644));
  written_[name] = text;
  return Ok();
}

Result<void> HostFiles::Sync() {
  auto authority = authority_file_.empty() ? std::string() : ReadSmallFile(authority_file_);
  if (authority.ok() && !authority->empty()) TRY(Put(kAuthority, *authority));
  TRY(auto files, registry_());
  for (const auto& [name, text] : files) {
    if (IsPlainName(name)) TRY(Put(kRegistry + name, text));
  }
  // Also what a process before this one wrote.
  std::error_code failed;
  std::filesystem::directory_iterator at(directory_ + "/" + kRegistry, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    std::string name = at->path().filename();
    if (files.contains(name)) continue;
    std::error_code ignored;
    std::filesystem::remove(at->path(), ignored);
    written_.erase(kRegistry + name);
  }
  return Ok();
}

}  // namespace tarn::csi
