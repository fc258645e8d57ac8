#include "mount/device.h"

#include <netdb.h>

#include <vector>

#include "common/ids.h"
#include "common/text.h"
#include "csi/volume_id.h"
#include "mount/text.h"

namespace tarn::mount {
namespace {

constexpr size_t kDeviceBytesMax = 4096;

// Zones and regions: what may be in a label of a DNS name.
bool IsLabel(const std::string& text) {
  return !text.empty() && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// Whether `name` is a file system's; fills what it says.
bool ReadName(const std::string& name, Device& device) {
  auto parts = Split(name, '.');
  std::vector<std::string> labels(parts.begin(), parts.end());
  for (const auto& label : labels) {
    if (!IsLabel(label)) return false;
  }
  bool zoned = labels.size() > 1 && !IsId(kFileSystemPrefix, labels[0]);
  size_t at = zoned ? 1 : 0;
  if (labels.size() < at + 3 || !IsId(kFileSystemPrefix, labels[at]) || labels[at + 1] != "efs") {
    return false;
  }
  bool ours = labels.size() == at + 3 && labels[at + 2] == "tarn";
  bool amazons =
      labels.size() >= at + 5 && labels[at + 3] == "amazonaws" && labels[at + 4] == "com";
  if (!ours && !amazons) return false;
  device.file_system_id = labels[at];
  if (zoned) device.zone = labels[0];
  if (amazons) device.region = labels[at + 2];
  return true;
}

Result<void> CheckPath(const Device& device, const std::string& path) {
  if (path[0] != '/') {
    return Error(Code::kInvalid, "the path in \"" + device.text + "\" must begin with a \"/\"");
  }
  for (std::string_view part : Split(path, '/')) {
    if (part == "..") {
      return Error(Code::kInvalid, "the path in \"" + device.text + "\" may not hold \"..\"");
    }
  }
  return Ok();
}

}  // namespace

Result<std::string> AskDns(const std::string& name) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_CANONNAME;
  int failed = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (failed != 0) return Error(Code::kNotFound, gai_strerror(failed));
  std::string canonical = found->ai_canonname != nullptr ? found->ai_canonname : name;
  freeaddrinfo(found);
  return canonical;
}

Result<Device> ParseDevice(const std::string& text, const CanonicalName& canonical) {
  Device device;
  device.text = text;
  if (text.size() > kDeviceBytesMax || HasControlCharacter(text)) {
    return Error(Code::kInvalid, "the file system's name is too long, or holds a line end");
  }
  size_t colon = text.find(':');
  std::string name = text.substr(0, colon);
  if (colon != std::string::npos && colon + 1 < text.size()) {
    std::string path = text.substr(colon + 1);
    TRY(CheckPath(device, path));
    device.path = csi::CleanPath(path);
  }
  if (IsId(kFileSystemPrefix, name)) {
    device.file_system_id = name;
    return device;
  }
  device.host = name;
  if (ReadName(name, device)) return device;
  bool may_be_name = name.find('.') != std::string::npos &&
                     name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789.-_") == std::string::npos;
  if (may_be_name) {
    auto stands_for = canonical(name);
    if (!stands_for.ok()) {
      return Error(Code::kInvalid, "Failed to resolve \"" + name +
                                       "\": " + stands_for.error().message() +
                                       "; it must be a CNAME of a file system's DNS name");
    }
    if (ReadName(*stands_for, device)) return device;
  }
  return Error(Code::kInvalid, "\"" + name +
                                   "\" is no file system: write fs-…, fs-….efs.tarn, "
                                   "fs-….efs.REGION.amazonaws.com, or a CNAME of one of these");
}

}  // namespace tarn::mount
