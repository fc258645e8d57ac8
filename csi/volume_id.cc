#include "csi/volume_id.h"

#include <algorithm>
#include <vector>

#include "common/ids.h"
#include "common/text.h"

namespace tarn::csi {
namespace {

constexpr size_t kVolumeIdLengthMax = 512;

Error Invalid(std::string_view id, const std::string& why) {
  return Error(Code::kInvalid, "volume ID '" + std::string(id) + "' is invalid: " + why);
}

}  // namespace

std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
      continue;
    }
    kept.push_back(part);
  }
  std::string clean;
  for (std::string_view part : kept) clean.append("/").append(part);
  return clean.empty() ? "/" : clean;
}

std::string VolumeId::ToString() const {
  std::string text = "efs:" + file_system_id;
  if (!subpath.empty() || !access_point_id.empty()) text += ":" + subpath;
  if (!access_point_id.empty()) text += ":" + access_point_id;
  return text;
}

std::string VolumeId::ExportPath() const {
  std::string below = subpath == "/" ? "" : subpath;
  if (!access_point_id.empty()) return "/" + access_point_id + below;
  return below.empty() ? "/" : below;
}

Result<VolumeId> ParseVolumeId(std::string_view text) {
  if (text.size() > kVolumeIdLengthMax) {
    return Invalid(text.substr(0, 64), "longer than " + std::to_string(kVolumeIdLengthMax));
  }
  // Such a one would be cut short where it is an argument, or forge a line where it is logged.
  if (std::any_of(text.begin(), text.end(), IsControl)) {
    return Error(Code::kInvalid, "the volume ID has a control character");
  }
  auto fields = Split(text, ':');
  // A prefix that is not "efs" is read as a file system id, and refused as one.
  bool prefixed = fields[0] == "efs" && fields.size() > 1;
  if (prefixed) fields.erase(fields.begin());
  if (fields.size() > 3) {
    return Invalid(text, std::string("Expected at most ") + (prefixed ? "four" : "three") +
                             " fields separated by ':'");
  }
  if (fields[0].empty()) return Invalid(text, "Missing file system ID");
  if (!IsId(kFileSystemPrefix, fields[0])) {
    return Invalid(text, "Expected a file system ID of the form 'fs-[0-9a-f]{8,40}'");
  }
  VolumeId id;
  id.file_system_id = fields[0];
  if (fields.size() > 1 && !fields[1].empty()) id.subpath = CleanPath(fields[1]);
  if (fields.size() > 2 && !fields[2].empty()) {
    if (!IsId(kAccessPointPrefix, fields[2])) {
      return Error(Code::kInvalid, "volume ID '" + std::string(text) +
                                       "' has an invalid access point ID '" +
                                       std::string(fields[2]) +
                                       "': Expected it to be of the form 'fsap-[0-9a-f]{8,40}'");
    }
    id.access_point_id = fields[2];
  }
  return id;
}

}  // namespace tarn::csi
