#include "operator/access_point.h"

#include <spdlog/spdlog.h>

#include "operator/quantity.h"
#include "operator/references.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Int;
using kube::Object;
using kube::Str;

uint32_t Id(const Json& object, const char* key) {
  return static_cast<uint32_t>(Int(object, key));  // the CRD keeps it within 32 bits
}

std::string KnownId(const Json& ap) {
  return Str(Object(ap, "status"), "accessPointId");
}

bool Unreachable(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

}  // namespace

Result<AccessPointSpec> AccessPointSpecOf(const Json& ap, const std::string& file_system_id) {
  const Json& spec = Object(ap, "spec");
  AccessPointSpec out;
  out.client_token = UidOf(ap);
  out.file_system_id = file_system_id;
  const Json& root = Object(spec, "rootDirectory");
  out.path = Str(root, "path").empty() ? "/" : Str(root, "path");
  if (const Json& user = Object(spec, "posixUser"); !user.empty()) {
    out.user.emplace();
    out.user->uid = Id(user, "uid");
    out.user->gid = Id(user, "gid");
    for (const Json& gid : Array(user, "secondaryGids")) {
      if (gid.is_number_integer()) out.user->secondary_gids.push_back(gid.get<uint32_t>());
    }
  }
  if (const Json& info = Object(root, "creationInfo"); !info.empty()) {
    out.creation =
        AccessPointCreation{Id(info, "ownerUid"), Id(info, "ownerGid"), Str(info, "permissions")};
  }
  for (const Json& tag : Array(spec, "tags")) {
    out.tags.emplace_back(Str(tag, "key"), Str(tag, "value"));
  }
  const Json& quota = Object(spec, "quota");
  if (std::string size = Str(quota, "size"); !size.empty()) {
    TRY(out.quota_bytes, ParseQuantity("spec.quota.size", size));
  }
  out.quota_files = static_cast<uint64_t>(Int(quota, "files"));
  return out;
}

Result<Outcome> AccessPointReconciler::Reconcile(const ObjectName& name) {
  auto ap = context_.access_points.Find(name);
  if (!ap) return Outcome{};
  if (IsDeleting(*ap)) return Delete(*ap);
  TRY(SetFinalizer(context_.client, kAccessPoint, *ap, true));
  StatusDraft status(context_, kAccessPoint, *ap);
  auto outcome = Serve(*ap, status);
  if (!outcome.ok()) status.Failed(outcome.error());
  auto written = status.Write();
  if (outcome.ok() && !written.ok()) return written.error();
  return outcome;
}

Result<AccessPointFacts> AccessPointReconciler::Ensure(const Json& ap, const std::string& address,
                                                       const AccessPointSpec& spec) {
  if (std::string id = KnownId(ap); !id.empty()) {
    auto there = context_.control.DescribeAccessPoint(address, id);
    if (there.code() != Code::kNotFound) return there;
    context_.events.Warning(ap, "Recreated", id + " is gone from the server; it is made anew");
  }
  auto made = context_.control.CreateAccessPoint(address, spec);
  if (made.code() != Code::kAlreadyExists) return made;
  // Ours of an earlier run that was cut off before it was noted; its quota or tags differ since.
  auto found = context_.control.FindAccessPoint(address, spec.file_system_id, spec.client_token);
  return found.code() == Code::kNotFound ? made : found;
}

Result<void> AccessPointReconciler::Configure(const Json& ap, const std::string& address,
                                              const AccessPointFacts& facts,
                                              const AccessPointSpec& spec, StatusDraft& status) {
  Result<void> done = Ok();
  if (facts.quota_bytes != spec.quota_bytes || facts.quota_files != spec.quota_files) {
    auto updated =
        context_.control.UpdateAccessPoint(address, facts.id, spec.quota_bytes, spec.quota_files);
    if (!updated.ok()) done = updated.error();
  }
  if (done.ok()) done = context_.control.SetTags(address, facts.id, spec.tags);
  if (Unreachable(done.code())) return done;
  // A quota below the usage, say: it is refused, and the access point serves on as it was.
  if (done.ok()) {
    status.RemoveCondition("Configured");
  } else {
    status.Condition("Configured", false, "Refused", done.error().message());
    context_.events.Warning(ap, "ConfigurationRefused", done.error().message());
  }
  return Ok();
}

Result<Outcome> AccessPointReconciler::Serve(const Json& ap, StatusDraft& status) {
  auto found = ResolveFileSystem(context_, ap);
  if (!found.ok()) {
    status.Failed(found.error());
    return Outcome{};  // a FileSystem's change brings us back
  }
  const Json& fs = *found;
  status["fileSystemId"] = FileSystemIdOf(fs);
  if (KnownId(ap).empty()) status["lifeCycleState"] = "creating";
  if (IsDeleting(fs) && KnownId(ap).empty()) {
    status.Waiting("FileSystemDeleting",
                   "FileSystem " + kube::NameOf(fs).Key() + " is being deleted");
    return Outcome{};
  }
  auto address = ReadyAddress(fs);
  if (!address.ok()) {
    status.Waiting("FileSystemNotReady", address.error().message());
    return Outcome{};  // the FileSystem's change brings us back
  }
  TRY(AccessPointSpec spec, AccessPointSpecOf(ap, FileSystemIdOf(fs)));
  TRY(AccessPointFacts facts, Ensure(ap, *address, spec));
  status["accessPointId"] = facts.id;
  status["lifeCycleState"] = facts.life_cycle_state.empty() ? "available" : facts.life_cycle_state;
  status["usage"] = {{"bytes", facts.used_bytes}, {"files", facts.used_files}};
  std::string name;
  for (const auto& [key, value] : spec.tags) {
    if (key == "Name") name = value;
  }
  status["name"] = name;
  TRY(Configure(ap, *address, facts, spec, status));
  status.Ready("Available", "mount it as " + kube::NameOf(fs).name + "." + kube::NameOf(fs).ns +
                                ".svc:/" + facts.id);
  return Outcome{kRefresh};
}

Result<void> AccessPointReconciler::DeleteOnServer(const Json& ap, const std::string& id) {
  auto fs = NamedFileSystem(context_, ap);
  if (!fs.ok()) return Ok();  // it went with its file system
  auto has_address = ControlAddress(*fs);
  if (!has_address.ok()) return Ok();  // no server was ever asked
  const std::string& address = *has_address;
  std::string found = id;
  if (found.empty()) {
    // Made by a run that was cut off before it was noted?
    auto facts = context_.control.FindAccessPoint(address, FileSystemIdOf(*fs), UidOf(ap));
    if (facts.code() == Code::kNotFound) return Ok();
    if (facts.ok()) found = facts->id;
    if (!facts.ok() && !(Unreachable(facts.code()) && IsDeleting(*fs))) return facts.error();
  }
  bool with_root = Str(Object(ap, "spec"), "deletionPolicy") == "Delete";
  auto gone = found.empty() ? Result<void>(Error(Code::kUnavailable))
                            : context_.control.DeleteAccessPoint(address, found, with_root);
  if (gone.ok() || gone.code() == Code::kNotFound) return Ok();
  if (Unreachable(gone.code()) && IsDeleting(*fs)) {
    // All goes, as when a namespace is deleted: the server may be gone before us, and would be
    // waited for in vain.
    spdlog::info("access point {} goes with its file system", kube::NameOf(ap).Key());
    return Ok();
  }
  return gone;
}

Result<Outcome> AccessPointReconciler::Delete(const Json& ap) {
  if (!HasFinalizer(ap)) return Outcome{};
  std::string id = KnownId(ap);
  auto users = UsersOfAccessPoint(context_, id, context_.volumes.All());
  if (users.empty() && !id.empty()) {
    TRY(std::vector<Json> volumes, LiveVolumes(context_));
    users = UsersOfAccessPoint(context_, id, volumes);
  }
  StatusDraft status(context_, kAccessPoint, ap);
  if (!users.empty()) {
    std::string message = "still used by " + Sentence(users) + "; it is deleted when they are gone";
    status.Condition("DeletionBlocked", true, "AccessPointInUse", message);
    context_.events.Warning(ap, "AccessPointInUse", message);
    TRY(status.Write());
    return Outcome{kWhileBlocked};
  }
  auto gone = DeleteOnServer(ap, id);
  if (!gone.ok()) {
    status["lifeCycleState"] = "deleting";
    status.RemoveCondition("DeletionBlocked");
    status.Failed(gone.error());
    (void)status.Write().ok();
    return gone.error();
  }
  TRY(SetFinalizer(context_.client, kAccessPoint, ap, false));
  return Outcome{};
}

}  // namespace tarn::op
