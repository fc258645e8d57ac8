#include "csi/volume_context.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/volume_handle.h"
#include "csi/mount/nfs_mount.h"

namespace tarn::csi {
namespace {

constexpr size_t kZonesMax = 64;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool IsAddress(const std::string& value) {
  auto at = SplitHostPort(value);
  if (!at.ok()) return false;
  return at->host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
}

Error BadAddress(const std::string& key, const std::string& value) {
  return Error(Code::kInvalid, "Volume context property \"" + key + "\"=\"" + value +
                                   "\" is not a valid IP address");
}

Result<bool> ParseBool(const std::string& key, const std::string& value) {
  if (auto flag = ParseAttributeFlag(value)) return *flag;
  return Error(Code::kInvalid, "Volume context property \"" + key +
                                   "\" must be a boolean value: \"" + value + "\"");
}

Result<void> ParseZones(const std::string& value, VolumeContext& context) {
  auto json = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  bool good = json.is_object() && json.size() <= kZonesMax;
  if (good) {
    for (const auto& [zone, address] : json.items()) {
      if (!address.is_string()) {
        good = false;
      } else if (!IsAddress(address.get<std::string>())) {
        return BadAddress(kMountTargetIpMapKey, address.get<std::string>());
      } else {
        context.by_zone[zone] = address.get<std::string>();
      }
    }
  }
  if (good) return Ok();
  return Error(Code::kInvalid,
               "Volume context property \"mounttargetipmap\" must be a JSON object from zone to IP "
               "address");
}

Result<void> ParseOne(const std::string& given, const std::string& value, VolumeContext& context) {
  std::string key = Lower(given);
  if (key == Lower(kNfsAddressKey)) {
    auto at = SplitHostPort(value);
    if (!at.ok()) {
      return Error(Code::kInvalid,
                   "Volume context property \"nfsAddress\": " + at.error().message());
    }
    context.nfs_address = value;
    return Ok();
  }
  if (key == kMountTargetIpKey) {
    if (!IsAddress(value)) return BadAddress(given, value);
    context.mount_target_ip = value;
    return Ok();
  }
  if (key == kMountTargetIpMapKey) return ParseZones(value, context);
  if (key == "encryptintransit") {
    TRY(context.encrypt_in_transit, ParseBool(given, value));
    return Ok();
  }
  // Of use between accounts of a cloud only; checked, so that a typing error is seen.
  if (key == "crossaccount") {
    TRY(ParseBool(given, value));
    return Ok();
  }
  if (key == "storage.kubernetes.io/csiprovisioneridentity") return Ok();
  if (key.starts_with("csi.storage.k8s.io/")) return Ok();  // from kubelet, about the pod
  return Error(Code::kInvalid, "Volume context property " + given + " not supported.");
}

}  // namespace

Result<VolumeContext> ParseVolumeContext(const std::map<std::string, std::string>& attributes) {
  VolumeContext context;
  for (const auto& [key, value] : attributes) TRY(ParseOne(key, value, context));
  return context;
}

std::map<std::string, std::string> MakeVolumeContext(const RegistryEntry& entry) {
  std::map<std::string, std::string> context;
  if (!entry.nfs.empty()) context[kNfsAddressKey] = entry.nfs;
  nlohmann::json zones = nlohmann::json::object();
  for (const auto& target : entry.mount_targets) {
    if (!target.zone.empty() && IsAddress(target.nfs)) zones[target.zone] = target.nfs;
  }
  if (!zones.empty()) context[kMountTargetIpMapKey] = zones.dump();
  return context;
}

Result<std::string> ChooseServer(const VolumeContext& context, const RegistryEntry* entry,
                                 const std::string& zone) {
  if (!context.mount_target_ip.empty()) return context.mount_target_ip;
  if (entry != nullptr) {
    for (const auto& target : entry->mount_targets) {
      if (!zone.empty() && target.zone == zone && !target.nfs.empty()) return target.nfs;
    }
    if (!entry->nfs.empty()) return entry->nfs;
  }
  auto own = context.by_zone.find(zone);
  if (own != context.by_zone.end()) return own->second;
  if (!context.nfs_address.empty()) return context.nfs_address;
  if (!context.by_zone.empty()) return context.by_zone.begin()->second;
  return Error(Code::kNotFound,
               "no server is known for the file system: it is not in the registry, and the volume "
               "has neither nfsAddress nor mounttargetip");
}

}  // namespace tarn::csi
