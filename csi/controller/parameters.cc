#include "csi/controller/parameters.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "common/ids.h"

namespace tarn::csi {
namespace {

constexpr std::string_view kPvcName = "csi.storage.k8s.io/pvc/name";
constexpr std::string_view kPvcNamespace = "csi.storage.k8s.io/pvc/namespace";
constexpr std::string_view kPvName = "csi.storage.k8s.io/pv/name";

Error Bad(const std::string& message) {
  return Error(Code::kInvalid, message);
}

Result<void> ParseBool(const std::string& name, const std::string& value, bool& out) {
  std::string lower = value;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "true" || lower == "t" || lower == "1") return out = true, Ok();
  if (lower == "false" || lower == "f" || lower == "0") return out = false, Ok();
  return Bad("Invalid value for " + name + " parameter: '" + value + "' must be true or false");
}

// A uid, a gid or a bound of the range.
Result<uint32_t> ParseId(const std::string& name, const std::string& value) {
  int64_t number = 0;
  auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failed != std::errc() || value.empty() || end != value.data() + value.size()) {
    return Bad("Failed to parse invalid " + name + ": '" + value + "' is not a number");
  }
  if (number < 0) return Bad(name + " must be greater or equal than 0");
  if (number > UINT32_MAX) return Bad(name + " must be at most 4294967295");
  return static_cast<uint32_t>(number);
}

Result<void> SetMode(const std::string& value, Parameters&) {
  if (value == "efs-ap") return Ok();
  return Bad("Provisioning mode " + value +
             " is not supported. Only Access point provisioning 'efs-ap' is supported");
}

Result<void> SetPermissions(const std::string& value, Parameters& out) {
  bool octal = value.find_first_not_of("01234567") == std::string::npos;
  if (!octal || value.size() < 3 || value.size() > 4) {
    return Bad("directoryPerms '" + value + "' must be three or four octal digits, such as 700");
  }
  out.permissions = value;
  return Ok();
}

Result<void> SetOnDelete(const std::string& value, Parameters& out) {
  if (value != "delete" && value != "retain") {
    return Bad("onDelete '" + value + "' must be delete or retain");
  }
  out.retain = value == "retain";
  return Ok();
}

Result<void> SetReuseScope(const std::string& value, Parameters& out) {
  if (value != "namespace" && value != "name") {
    return Bad("reuseAccessPointScope '" + value + "' must be namespace or name");
  }
  out.reuse_in_any_namespace = value == "name";
  return Ok();
}

Result<void> SetEncryption(const std::string& value, Parameters& out) {
  bool wanted = false;
  TRY(ParseBool("encryptInTransit", value, wanted));
  out.encrypt_in_transit = wanted;
  return Ok();
}

using Setter = std::function<Result<void>(const std::string& value, Parameters& out)>;

Setter Text(std::string Parameters::*field) {
  return [field](const std::string& value, Parameters& out) { return out.*field = value, Ok(); };
}
Setter Bool(const char* name, bool Parameters::*field) {
  return
      [=](const std::string& value, Parameters& out) { return ParseBool(name, value, out.*field); };
}
Setter Choice(std::string FileSystemChoice::*field) {
  return [field](const std::string& value, Parameters& out) {
    return out.file_system.*field = value, Ok();
  };
}
template <typename Field>
Setter Id(const char* name, Field Parameters::*field) {
  return [=](const std::string& value, Parameters& out) -> Result<void> {
    TRY(uint32_t number, ParseId(name, value));
    out.*field = number;
    return Ok();
  };
}

const std::map<std::string, Setter, std::less<>>& Setters() {
  static const std::map<std::string, Setter, std::less<>> setters = {
      {"provisioningMode", SetMode},
      {"fileSystemId", Choice(&FileSystemChoice::id)},
      {"fileSystemIdConfigRef", Choice(&FileSystemChoice::config_ref)},
      {"fileSystemIdSecretRef", Choice(&FileSystemChoice::secret_ref)},
      {"fileSystemRef", Choice(&FileSystemChoice::ref)},
      {"directoryPerms", SetPermissions},
      {"uid", Id("uid", &Parameters::uid)},
      {"gid", Id("gid", &Parameters::gid)},
      {"gidRangeStart", Id("gidRangeStart", &Parameters::gid_start)},
      {"gidRangeEnd", Id("gidRangeEnd", &Parameters::gid_end)},
      {"basePath", Text(&Parameters::base_path)},
      {"subPathPattern", [](const std::string& value,
                            Parameters& out) { return out.sub_path_pattern = value, Ok(); }},
      // As EFS has it: what is no boolean means true.
      {"ensureUniqueDirectory",
       [](const std::string& value, Parameters& out) {
         if (!ParseBool("", value, out.unique_directory).ok()) out.unique_directory = true;
         return Ok();
       }},
      {"reuseAccessPoint", Bool("reuseAccessPoint", &Parameters::reuse)},
      {"reuseAccessPointScope", SetReuseScope},
      {"az", Text(&Parameters::zone)},
      {"enforceZoneAffinity", Bool("enforceZoneAffinity", &Parameters::enforce_zone)},
      {"enableTagging", Bool("enableTagging", &Parameters::tagging)},
      {"onDelete", SetOnDelete},
      {"encryptInTransit", SetEncryption},
      {std::string(kPvcName), Text(&Parameters::pvc_name)},
      {std::string(kPvcNamespace), Text(&Parameters::pvc_namespace)},
      {std::string(kPvName), Text(&Parameters::pv_name)},
  };
  return setters;
}

Result<void> CheckFileSystem(const FileSystemChoice& choice) {
  int given = 0;
  for (const auto* text : {&choice.id, &choice.config_ref, &choice.secret_ref, &choice.ref}) {
    given += text->empty() ? 0 : 1;
  }
  if (given == 0) {
    return Bad(
        "Missing fileSystemId parameter (or fileSystemRef, fileSystemIdConfigRef, "
        "fileSystemIdSecretRef)");
  }
  if (given > 1) {
    return Bad(
        "Only one of fileSystemId, fileSystemRef, fileSystemIdConfigRef and "
        "fileSystemIdSecretRef may be given");
  }
  if (!choice.id.empty() && !IsId(kFileSystemPrefix, choice.id)) {
    return Bad("fileSystemId '" + choice.id + "' must be of the form fs-[0-9a-f]{8,40}");
  }
  if (!choice.config_ref.empty()) TRY(ParseKeyRef("fileSystemIdConfigRef", choice.config_ref));
  if (!choice.secret_ref.empty()) TRY(ParseKeyRef("fileSystemIdSecretRef", choice.secret_ref));
  size_t slash = choice.ref.find('/');
  if (!choice.ref.empty() &&
      (slash == 0 || slash == std::string::npos || slash + 1 == choice.ref.size() ||
       choice.ref.find('/', slash + 1) != std::string::npos)) {
    return Bad("fileSystemRef '" + choice.ref + "' must be namespace/name");
  }
  return Ok();
}

Result<void> CheckGidRange(const std::map<std::string, std::string>& given, Parameters& out) {
  bool start = given.contains("gidRangeStart"), end = given.contains("gidRangeEnd");
  if (start && !end) return Bad("Missing gidRangeEnd parameter");
  if (end && !start) return Bad("Missing gidRangeStart parameter");
  if (out.gid_start == 0) return Bad("gidRangeStart must be greater than 0");
  if (out.gid_end <= out.gid_start) {
    return Bad("gidRangeEnd must be greater than gidRangeStart");
  }
  out.gid_end = std::min(out.gid_end, out.gid_start + kGidsMax);
  return Ok();
}

}  // namespace

Result<KeyRef> ParseKeyRef(const std::string& parameter, const std::string& text) {
  size_t first = text.find('/');
  size_t second = first == std::string::npos ? first : text.find('/', first + 1);
  KeyRef ref;
  if (second != std::string::npos) {
    ref = {text.substr(0, first), text.substr(first + 1, second - first - 1),
           text.substr(second + 1)};
  }
  if (ref.ns.empty() || ref.name.empty() || ref.key.empty() ||
      ref.key.find('/') != std::string::npos) {
    return Bad("Failed to resolve filesystem Id: " + parameter + " '" + text +
               "' must be namespace/name/key");
  }
  return ref;
}

Result<Parameters> ParseParameters(const std::map<std::string, std::string>& given) {
  Parameters out;
  out.permissions = "700";
  if (!given.contains("provisioningMode")) return Bad("Missing provisioningMode parameter");
  TRY(SetMode(given.at("provisioningMode"), out));
  for (const auto& [name, value] : given) {
    auto setter = Setters().find(name);
    if (setter != Setters().end()) {
      TRY(setter->second(value, out));
    } else if (!name.starts_with("csi.storage.k8s.io/")) {
      return Bad("parameter '" + name + "' is not supported: see the StorageClass reference");
    }
  }
  TRY(CheckFileSystem(out.file_system));
  TRY(CheckGidRange(given, out));
  if (out.reuse && out.pvc_name.empty()) {
    return Bad(
        "reuseAccessPoint needs the PVC's name: run csi-provisioner with "
        "--extra-create-metadata");
  }
  if (out.enforce_zone && out.zone.empty()) {
    return Bad("enforceZoneAffinity needs the parameter az");
  }
  return out;
}

}  // namespace tarn::csi
