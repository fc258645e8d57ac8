// Client tokens and root directories of access points (controller/parameters.h).

#include "common/text.h"
#include "csi/controller/parameters.h"
#include "csi/volume_id.h"

namespace tarn::csi {
namespace {

constexpr size_t kTokenBytesMax = 64;
constexpr std::string_view kForbidden("$#<>;`|&?{}^*\n\0", 15);

// In the form of a UUID, but always the same for the same text: a repeated CreateVolume must mean
// the same directory.
std::string UuidOf(const std::string& text) {
  std::string hex = Sha256Hex(text);
  hex[12] = '5';
  hex[16] = "89ab"[hex[16] % 4];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20, 12);
}

// Safe as one component of a path: anything else that a CSI name may be is hashed.
std::string DirectoryName(const std::string& name) {
  bool plain = !name.empty() && name.size() <= kTokenBytesMax && name[0] != '.' &&
               name.find('/') == std::string::npos &&
               name.find_first_of(kForbidden) == std::string::npos;
  return plain ? name : Sha256Hex(name);
}

// What the volume is named after: itself, or with reuseAccessPoint its PVC.
std::string Identity(const Parameters& parameters, const std::string& volume_name) {
  if (!parameters.reuse) return volume_name;
  if (parameters.reuse_in_any_namespace) return parameters.pvc_name;
  return parameters.pvc_namespace + "/" + parameters.pvc_name;
}

Result<std::string> FillPattern(const Parameters& parameters) {
  struct Token {
    std::string_view text;
    const std::string& value;
  };
  const Token tokens[] = {{"${.PVC.name}", parameters.pvc_name},
                          {"${.PVC.namespace}", parameters.pvc_namespace},
                          {"${.PV.name}", parameters.pv_name}};
  const std::string& pattern = *parameters.sub_path_pattern;
  std::string filled;
  for (size_t at = 0; at < pattern.size();) {
    bool replaced = false;
    for (const auto& token : tokens) {
      if (pattern.compare(at, token.text.size(), token.text) != 0) continue;
      if (token.value.empty()) {
        return Error(Code::kInvalid, "subPathPattern uses " + std::string(token.text) +
                                         ", which is not known: run csi-provisioner with "
                                         "--extra-create-metadata");
      }
      filled += token.value;
      at += token.text.size();
      replaced = true;
    }
    if (!replaced) filled += pattern[at++];
  }
  if (filled.find("${") != std::string::npos) {
    return Error(Code::kInvalid,
                 "subPathPattern '" + pattern +
                     "' has an unknown token. Supported are ${.PVC.name}, ${.PVC.namespace} and "
                     "${.PV.name}");
  }
  return filled;
}

bool HasParent(const std::string& path) {
  return ("/" + path + "/").find("/../") != std::string::npos;
}

Result<void> CheckPath(const std::string& path) {
  if (path.size() > kRootPathBytesMax) {
    return Error(Code::kInvalid,
                 "Proposed path '" + path + "' exceeds file system limit of 100 characters");
  }
  int levels = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '/') continue;
    ++levels;
    if (i + 1 < path.size() && path[i + 1] == '.') {
      return Error(Code::kInvalid,
                   "Proposed path '" + path + "' has a directory that begins with '.'");
    }
  }
  if (levels > kRootPathLevelsMax) {
    return Error(Code::kInvalid,
                 "Proposed path '" + path + "' exceeds file system limit of 4 subdirectories");
  }
  if (path.find_first_of(kForbidden) != std::string::npos) {
    return Error(Code::kInvalid, "Proposed path '" + path +
                                     "' has characters that a root directory may not have: "
                                     "$ # < > ; ` | & ? { } ^ *");
  }
  return Ok();
}

}  // namespace

std::string ClientToken(const Parameters& parameters, const std::string& volume_name) {
  if (parameters.reuse) return Sha256Hex(Identity(parameters, volume_name));
  if (volume_name.size() > kTokenBytesMax) return Sha256Hex(volume_name);
  return volume_name;
}

Result<std::string> RootPath(const Parameters& parameters, const std::string& volume_name) {
  std::string identity = Identity(parameters, volume_name);
  std::string directory;
  if (parameters.sub_path_pattern && !parameters.sub_path_pattern->empty()) {
    TRY(directory, FillPattern(parameters));
    if (HasParent(directory)) {
      return Error(Code::kInvalid, "subPathPattern '" + directory + "' must not have '..'");
    }
    if (parameters.unique_directory) directory = CleanPath(directory) + "-" + UuidOf(identity);
  } else {
    directory = DirectoryName(identity);
  }
  if (HasParent(parameters.base_path)) {
    return Error(Code::kInvalid, "basePath '" + parameters.base_path + "' must not have '..'");
  }
  std::string path = CleanPath(parameters.base_path + "/" + directory);
  TRY(CheckPath(path));
  return path;
}

}  // namespace tarn::csi
