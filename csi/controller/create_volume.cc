// CreateVolume (controller_service.h): from parameters to an access point.
#include "common/ids.h"
#include "common/log.h"
#include "csi/capabilities.h"
#include "csi/controller/controller_service.h"
#include "csi/mount/mount_options.h"
#include "csi/volume_context.h"

namespace tarn::csi {

namespace pb = ::csi::v1;
using Stub = control_pb::Control::Stub;

namespace {

// What EFS allows in a tag's value; anything else is left out rather than refused.
bool IsTagValue(const std::string& text) {
  if (text.size() > 256) return false;
  for (unsigned char c : text) {
    if (!std::isalnum(c) &&
        std::string_view("_.:/=+-@ ").find(static_cast<char>(c)) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

Error Mismatch(const std::string& access_point_id, const std::string& why) {
  return Error(Code::kAlreadyExists,
               "Invalid existing access point: " + access_point_id + " " + why);
}

Error NoFileSystem(const std::string& what) {
  return Error(Code::kInvalid, "File System does not exist: " + what +
                                   " is not in the registry; is its FileSystem ready?");
}

// The codes that the EFS driver answers a failed creation with.
Error CreateFailed(const Error& error) {
  switch (error.code()) {
    case Code::kDenied:
    case Code::kUnauthenticated:
      return Error(
          Code::kUnauthenticated,
          "Access Denied. Please ensure you have the right permissions: " + error.message());
    case Code::kNotFound:
      return Error(Code::kInvalid, "File System does not exist: " + error.message());
    default:
      return error;
  }
}

// A retry with the mutable part (capacity) bigger than what is there is another volume (CSI).
Result<void> CheckCapacity(const std::string& id, uint64_t there, uint64_t required,
                           uint64_t limit) {
  if (there == 0 && required == 0) return Ok();
  if (there < required || (limit != 0 && there > limit)) {
    return Mismatch(id, "has a capacity of " + std::to_string(there) + " bytes, not what is asked");
  }
  return Ok();
}

// What a node would refuse later.
Result<void> CheckMountOptions(const pb::CreateVolumeRequest& request,
                               const Parameters& parameters) {
  for (const auto& capability : request.volume_capabilities()) {
    const auto& flags = capability.mount().mount_flags();
    TRY(MountOptions options, ParseMountOptions({flags.begin(), flags.end()}, ""));
    if (!options.access_point_id.empty()) {
      return Error(Code::kInvalid,
                   "mount option 'accesspoint=" + options.access_point_id +
                       "': a new volume is an access point of its own; leave it out");
    }
    TRY(IsEncrypted(options, parameters.encrypt_in_transit, true));
  }
  return Ok();
}

}  // namespace

Result<std::string> ControllerService::ReadRef(const std::string& parameter,
                                               const std::string& text, bool secret) {
  TRY(KeyRef ref, ParseKeyRef(parameter, text));
  auto failed = [&](const std::string& why) {
    return Error(Code::kInvalid,
                 "Failed to resolve filesystem Id from " + parameter + " '" + text + "': " + why);
  };
  if (cluster_ == nullptr) return failed("this controller runs without a Kubernetes API");
  auto data = secret ? cluster_->Secret(ref.ns, ref.name) : cluster_->ConfigMap(ref.ns, ref.name);
  if (data.code() == Code::kUnavailable) return std::move(data).error();
  if (!data.ok()) return failed(data.error().message());
  auto found = data->find(ref.key);
  if (found == data->end()) return failed("it has no key '" + ref.key + "'");
  std::string id = found->second;
  while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back()))) id.pop_back();
  if (!IsId(kFileSystemPrefix, id)) return failed("its value is no file system id (fs-…)");
  return id;
}

Result<RegistryEntry> ControllerService::ResolveFileSystem(const FileSystemChoice& choice) {
  Result<RegistryEntry> entry = Error(Code::kInternal);
  if (!choice.ref.empty()) {
    size_t slash = choice.ref.find('/');
    entry = registry_.ByName(choice.ref.substr(0, slash), choice.ref.substr(slash + 1));
  } else {
    std::string id = choice.id;
    if (!choice.config_ref.empty()) {
      TRY(id, ReadRef("fileSystemIdConfigRef", choice.config_ref, false));
    } else if (!choice.secret_ref.empty()) {
      TRY(id, ReadRef("fileSystemIdSecretRef", choice.secret_ref, true));
    }
    entry = registry_.ById(id);
  }
  if (entry.code() == Code::kNotFound) return NoFileSystem(entry.error().message());
  if (entry.ok() && entry->control.empty()) {
    return Error(Code::kUnavailable, "the server of file system '" + entry->file_system_id +
                                         "' has no control address yet");
  }
  return entry;
}

Result<ControllerService::Wanted> ControllerService::Check(const pb::CreateVolumeRequest& request) {
  if (request.name().empty()) return Error(Code::kInvalid, "Volume name not provided");
  if (request.name().size() > kVolumeNameBytesMax) {
    return Error(Code::kInvalid, "Volume name is longer than 128 bytes");
  }
  TRY(CheckCapabilities(request.volume_capabilities(), ""));
  if (request.has_volume_content_source()) {
    return Error(Code::kInvalid,
                 "volume content source: volumes from snapshots and clones are not supported yet");
  }
  if (!request.mutable_parameters().empty()) {
    return Error(Code::kInvalid, "mutable parameters are not supported: '" +
                                     request.mutable_parameters().begin()->first + "'");
  }
  const auto& range = request.capacity_range();
  if (range.required_bytes() < 0 || range.limit_bytes() < 0) {
    return Error(Code::kInvalid, "capacity range: a size is below 0");
  }
  if (range.limit_bytes() != 0 && range.required_bytes() > range.limit_bytes()) {
    return Error(Code::kRange, "capacity range: required_bytes is above limit_bytes");
  }
  Wanted wanted;
  wanted.required_bytes = static_cast<uint64_t>(range.required_bytes());
  wanted.limit_bytes = static_cast<uint64_t>(range.limit_bytes());
  TRY(wanted.parameters,
      ParseParameters({request.parameters().begin(), request.parameters().end()}));
  TRY(CheckMountOptions(request, wanted.parameters));
  if (wanted.parameters.enforce_zone && !options_.topology) {
    return Error(Code::kInvalid,
                 "enforceZoneAffinity needs a controller with --topology and nodes with --zone");
  }
  TRY(wanted.root_path, RootPath(wanted.parameters, request.name()));
  wanted.token = ClientToken(wanted.parameters, request.name());
  TRY(wanted.file_system, ResolveFileSystem(wanted.parameters.file_system));
  return wanted;
}

control_pb::CreateAccessPointRequest ControllerService::ToRequest(const Wanted& wanted,
                                                                  const std::string& name) {
  const Parameters& parameters = wanted.parameters;
  control_pb::CreateAccessPointRequest request;
  request.set_client_token(wanted.token);
  request.set_file_system_id(wanted.file_system.file_system_id);
  request.set_quota_bytes(wanted.quota());
  auto& root = *request.mutable_root_directory();
  root.set_path(wanted.root_path);
  root.mutable_creation_info()->set_permissions(parameters.permissions);
  if (parameters.uid && parameters.gid) {
    request.mutable_posix_user()->set_uid(*parameters.uid);
    request.mutable_posix_user()->set_gid(*parameters.gid);
    root.mutable_creation_info()->set_owner_uid(*parameters.uid);
    root.mutable_creation_info()->set_owner_gid(*parameters.gid);
  } else {
    // The server picks what is free, in the same step as it makes the access point.
    request.set_gid_range_start(parameters.gid_start);
    request.set_gid_range_end(parameters.gid_end);
    if (parameters.uid) request.set_fixed_uid(*parameters.uid);
    if (parameters.gid) request.set_fixed_gid(*parameters.gid);
  }
  auto tag = [&](const std::string& key, const std::string& value) {
    if (!IsTagValue(value)) return;
    auto* added = request.add_tags();
    added->set_key(key);
    added->set_value(value);
  };
  tag(kVolumeTag, name);
  tag(kOnDeleteTag, parameters.retain ? "retain" : "delete");
  if (!parameters.tagging) return request;
  tag(options_.driver_name + "/cluster", "true");
  if (!parameters.pvc_name.empty()) {
    tag("kubernetes.io/created-for/pvc/name", parameters.pvc_name);
    tag("kubernetes.io/created-for/pvc/namespace", parameters.pvc_namespace);
  }
  for (const auto& [key, value] : options_.tags) tag(key, value);
  return request;
}

Result<ControllerService::AccessPoint> ControllerService::Adopt(
    const Wanted& wanted, const std::string& access_point_id) {
  const Parameters& parameters = wanted.parameters;
  TRY(AccessPoint there, Describe(wanted.file_system, access_point_id));
  if (there.life_cycle_state() == "deleting") {
    return Error(Code::kAborted, "access point " + access_point_id + " is being deleted");
  }
  if (there.file_system_id() != wanted.file_system.file_system_id) {
    return Mismatch(access_point_id, "is of file system " + there.file_system_id());
  }
  if (!parameters.reuse && there.root_directory().path() != wanted.root_path) {
    return Mismatch(access_point_id, "has the root directory " + there.root_directory().path());
  }
  const auto& user = there.posix_user();
  bool uid_fits = !parameters.uid || *parameters.uid == user.uid();
  bool gid_fits = parameters.gid
                      ? *parameters.gid == user.gid()
                      : user.gid() >= parameters.gid_start && user.gid() <= parameters.gid_end;
  if (!uid_fits || !gid_fits) {
    return Mismatch(access_point_id, "has uid " + std::to_string(user.uid()) + " and gid " +
                                         std::to_string(user.gid()));
  }
  if (parameters.reuse && there.quota_bytes() < wanted.quota() && there.quota_bytes() != 0) {
    return SetQuota(wanted.file_system, there, wanted.quota());
  }
  return there;
}

Result<pb::Volume> ControllerService::ToVolume(const Wanted& wanted,
                                               const AccessPoint& access_point) {
  pb::Volume volume;
  volume.set_volume_id(
      VolumeId{wanted.file_system.file_system_id, "", access_point.access_point_id()}.ToString());
  volume.set_capacity_bytes(static_cast<int64_t>(access_point.quota_bytes()));
  auto context = MakeVolumeContext(wanted.file_system);
  if (const auto& encrypt = wanted.parameters.encrypt_in_transit) {
    context[kEncryptInTransitKey] = *encrypt ? "true" : "false";
  }
  if (const std::string& zone = wanted.parameters.zone; !zone.empty()) {
    for (const auto& target : wanted.file_system.mount_targets) {
      if (target.zone == zone) context[kMountTargetIpKey] = target.nfs;
    }
    if (!context.contains(kMountTargetIpKey)) {
      return Error(Code::kInvalid, "az '" + zone + "': file system '" +
                                       wanted.file_system.file_system_id +
                                       "' has no mount target there");
    }
    if (wanted.parameters.enforce_zone) {
      (*volume.add_accessible_topology()->mutable_segments())[kZoneKey] = zone;
    }
  }
  volume.mutable_volume_context()->insert(context.begin(), context.end());
  return volume;
}

Result<pb::Volume> ControllerService::Create(const pb::CreateVolumeRequest& request) {
  TRY(Wanted wanted, Check(request));
  // Before anything is made: what would make the answer fail.
  TRY(ToVolume(wanted, AccessPoint()));
  TRY(auto hold, locks_.Take(wanted.token, kLockWait));
  auto made = servers_.Call(wanted.file_system.control, &Stub::CreateAccessPoint,
                            ToRequest(wanted, request.name()), options_.call_timeout);
  if (made.code() == Code::kAlreadyExists && !made.error().resource_id().empty()) {
    made = Adopt(wanted, std::string(made.error().resource_id()));
    if (!made.ok()) return std::move(made).error();
  }
  if (!made.ok()) return CreateFailed(made.error());
  if (!wanted.parameters.reuse) {
    TRY(CheckCapacity(made->access_point_id(), made->quota_bytes(), wanted.required_bytes,
                      wanted.limit_bytes));
  }
  return ToVolume(wanted, *made);
}

}  // namespace tarn::csi
