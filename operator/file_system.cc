#include "operator/file_system.h"

#include <algorithm>

#include "operator/children.h"
#include "operator/control_tls.h"
#include "operator/file_system_objects.h"
#include "operator/nfs_tls.h"
#include "operator/quantity.h"
#include "operator/references.h"
#include "operator/registry.h"
#include "operator/server_files.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Int;
using kube::Object;
using kube::Str;

// How long an API that was not there is not asked for again, and a monitor not put again.
constexpr int64_t kMonitorRecheckSeconds = 600;
// Of what a container said when it ended.
constexpr size_t kMaxReason = 1000;
constexpr const char* kOnlyNodes =
    "only nodes may connect, as the volumes of pods do; name others in spec.ingress of a "
    "MountTarget (everybody: cidr 0.0.0.0/0)";

Tags TagsOf(const Json& fs) {
  Tags out;
  for (const Json& tag : Array(Object(fs, "spec"), "tags")) {
    out.emplace_back(Str(tag, "key"), Str(tag, "value"));
  }
  return out;
}

std::string NameTag(const Json& fs) {
  for (const auto& [key, value] : TagsOf(fs)) {
    if (key == "Name") return value;
  }
  return {};
}

bool IsUp(const Json& fs) {
  std::string state = Str(Object(fs, "status"), "lifeCycleState");
  return state == "available" || state == "updating";
}

bool IsServing(const Json& stateful_set) {
  const Json& status = Object(stateful_set, "status");
  return Int(status, "readyReplicas") >= 1;
}

void SetSize(const FileSystemFacts& facts, int64_t now, int64_t max_age, StatusDraft& status) {
  Json size = {{"value", facts.size_bytes},
               {"valueInStandard", facts.size_in_standard},
               {"valueInIA", facts.size_in_ia},
               {"valueInArchive", facts.size_in_archive}};
  int64_t at = facts.size_timestamp > 0 ? facts.size_timestamp : now;
  Json old = status["sizeInBytes"];
  std::string told = Str(old, "timestamp");
  if (old.is_object()) old.erase("timestamp");
  // RFC 3339 in UTC sorts as text.
  if (old == size && told > kube::Rfc3339(at - max_age)) return;
  size["timestamp"] = kube::Rfc3339(at);
  status["sizeInBytes"] = size;
}

}  // namespace

Result<Outcome> FileSystemReconciler::Reconcile(const ObjectName& name) {
  auto fs = context_.file_systems.Find(name);
  if (!fs) {
    TRY(RemoveStale(context_, name));
    return Outcome{};
  }
  if (IsDeleting(*fs)) return Delete(*fs);
  TRY(SetFinalizer(context_.client, kFileSystem, *fs, true));
  StatusDraft status(context_, kFileSystem, *fs);
  status.RemoveCondition("DeletionBlocked");
  auto outcome = Serve(*fs, status);
  if (!outcome.ok()) status.Failed(outcome.error());
  auto written = status.Write();
  if (outcome.ok() && !written.ok()) return written.error();
  return outcome;
}

Result<void> FileSystemReconciler::CheckId(const Json& fs) {
  std::string id = FileSystemIdOf(fs);
  auto rank = [](const Json& f) {
    return Str(Object(f, "metadata"), "creationTimestamp") + " " + kube::NameOf(f).Key();
  };
  for (const Json& other : context_.file_systems.Where(
           [&](const Json& f) { return FileSystemIdOf(f) == id && UidOf(f) != UidOf(fs); })) {
    if (rank(other) > rank(fs)) continue;
    return Error(Code::kAlreadyExists, "spec.fileSystemId: " + id + " is served by FileSystem " +
                                           kube::NameOf(other).Key() + "; delete one of the two");
  }
  return Ok();
}

Result<std::string> FileSystemReconciler::EnsureService(const Json& fs) {
  std::string known = Str(Object(fs, "status"), "endpoint");
  auto made = EnsureChild(context_, context_.services, FileSystemService(fs, known));
  // The address that clients have is taken, or of a range that is no more: a new one.
  if (made.code() == Code::kInvalid && !known.empty()) {
    made = EnsureChild(context_, context_.services, FileSystemService(fs, ""));
  }
  if (!made.ok()) return made.error();
  std::string ip = Str(Object(*made, "spec"), "clusterIP");
  if (ip.empty()) return Error(Code::kUnavailable, "the Service has no cluster IP yet");
  return ip;
}

Result<void> FileSystemReconciler::EnsureMonitor(const Json& fs) {
  int64_t now = context_.now_seconds();
  int64_t missing_at = no_monitors_at_;
  if (missing_at != 0 && now - missing_at < kMonitorRecheckSeconds) return Ok();
  Json wanted = FileSystemMonitor(fs);
  auto seen = context_.recent.Peek(kServiceMonitor, kube::NameOf(wanted), kMonitorRecheckSeconds);
  if (seen && Contains(*seen, wanted)) return Ok();
  auto applied = context_.client.Apply(kServiceMonitor, wanted);
  if (applied.ok()) {
    context_.recent.Put(kServiceMonitor, *applied);
    return Ok();
  }
  if (applied.code() != Code::kNotFound) return applied.error();
  no_monitors_at_ = now;
  return Ok();
}

Result<void> FileSystemReconciler::EnsureClaimSize(const Json& fs, StatusDraft& status) {
  std::string wanted = Str(Object(Object(fs, "spec"), "storage"), "size");
  auto live = context_.stateful_sets.Find(kube::NameOf(fs));
  if (wanted.empty() || !live) return Ok();
  std::string made_with;
  for (const Json& t : Array(Object(*live, "spec"), "volumeClaimTemplates")) {
    made_with = Str(Object(Object(Object(t, "spec"), "resources"), "requests"), "storage");
  }
  if (made_with == wanted) return Ok();
  auto claim = context_.client.Get(kClaim, DataClaim(fs));
  if (claim.code() == Code::kNotFound) return Ok();  // the StatefulSet is about to make it
  if (!claim.ok()) return claim.error();
  std::string has = Str(Object(Object(Object(*claim, "spec"), "resources"), "requests"), "storage");
  TRY(uint64_t has_bytes, ParseQuantity("PersistentVolumeClaim", has));
  TRY(uint64_t wanted_bytes, ParseQuantity("spec.storage.size", wanted));
  if (has_bytes >= wanted_bytes) {
    status.RemoveCondition("StorageResized");
    return Ok();
  }
  auto patched = context_.client.MergePatch(
      kClaim, DataClaim(fs), {{"spec", {{"resources", {{"requests", {{"storage", wanted}}}}}}}});
  if (patched.ok()) {
    context_.events.Normal(fs, "StorageResized", "the volume grows from " + has + " to " + wanted);
    status.RemoveCondition("StorageResized");
    return Ok();
  }
  if (patched.code() != Code::kInvalid && patched.code() != Code::kDenied) return patched.error();
  // The server goes on with the volume it has.
  status.Condition("StorageResized", false, "Refused", patched.error().message());
  context_.events.Warning(fs, "ResizeRefused", patched.error().message());
  return Ok();
}

Result<void> FileSystemReconciler::CheckClaim(const Json& fs) {
  if (Str(Object(Object(fs, "spec"), "storage"), "size").empty()) return Ok();
  auto claim = context_.client.Get(kClaim, DataClaim(fs));
  if (claim.code() == Code::kNotFound) return Ok();
  if (!claim.ok()) return claim.error();
  if (OwnerUidOf(*claim) == UidOf(fs)) return Ok();
  return Error(Code::kAlreadyExists,
               "PersistentVolumeClaim " + DataClaim(fs).Key() +
                   " holds the data of an earlier FileSystem; delete it, or serve it again by "
                   "spec.storage.claimName and spec.fileSystemId");
}

Result<Json> FileSystemReconciler::EnsureServer(const Json& fs, StatusDraft& status) {
  auto live = context_.stateful_sets.Find(kube::NameOf(fs));
  if (!live) {
    auto there = context_.client.Get(kStatefulSet, kube::NameOf(fs));
    if (there.ok()) live = *there;
    if (!there.ok() && there.code() != Code::kNotFound) return there.error();
  }
  if (!live) TRY(CheckClaim(fs));
  Json wanted = FileSystemStatefulSet(context_.settings, fs, live ? *live : Json());
  TRY(Json server, EnsureChild(context_, context_.stateful_sets, wanted));
  TRY(EnsureClaimSize(fs, status));
  TRY(EnsureChild(context_, context_.budgets, FileSystemBudget(fs)));
  TRY(EnsureMonitor(fs));
  return server;
}

Result<void> FileSystemReconciler::EnsureNetworkPolicy(const Json& fs, const Network& network) {
  const Settings& settings = context_.settings;
  bool there = context_.network_policies.Find(kube::NameOf(fs)).has_value();
  using Presence = Cilium::Presence;
  Presence cilium =
      settings.network_policies == "auto" ? context_.cilium.Find() : Presence::kAbsent;
  // Not known: what is there is kept up to date, and what is not there is not made.
  bool wanted = cilium == Presence::kUnknown
                    ? there
                    : WantsNetworkPolicies(settings, cilium == Presence::kThere);
  if (wanted) {
    TRY(EnsureChild(context_, context_.network_policies,
                    FileSystemNetworkPolicy(settings, fs, network)));
    return Ok();
  }
  if (!there) return Ok();
  return DeleteChild(context_, kNetworkPolicy, kube::NameOf(fs), UidOf(fs));
}

void FileSystemReconciler::SayNetwork(const Json& fs, const Result<Network>& network,
                                      const Result<void>& closed, StatusDraft& status) {
  constexpr const char* kCondition = "NetworkResolved";
  bool only_nodes = network.ok() && network->peers.empty();
  // One that served before operators closed file systems, unless it said that it wants to be
  // closed: who came from elsewhere is cut off now.
  if (IsUp(fs) && only_nodes && !SaysIngress(context_, fs) &&
      kube::ConditionStatus(fs, kCondition).empty()) {
    context_.events.Warning(fs, "NetworkClosed", kOnlyNodes);
  }
  if (!closed.ok()) {
    status.Condition(kCondition, false, "Retrying", closed.error().message());
  } else if (!network->refused.empty()) {
    status.Condition(kCondition, false, "RuleRefused", network->refused);
    context_.events.Warning(fs, "RuleRefused", network->refused);
  } else if (only_nodes) {
    status.Condition(kCondition, true, "OnlyNodes", kOnlyNodes);
  } else {
    status.Condition(kCondition, true, "NodesAndRules",
                     "nodes may connect, and whom spec.ingress of its MountTargets names");
  }
}

std::string FileSystemReconciler::WhyNotRunning(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  std::string pod_name = name.name + "-0";
  auto pod = context_.client.Get(kPod, {name.ns, pod_name});
  if (!pod.ok()) return "pod " + pod_name + " is not there yet";
  const Json& status = Object(*pod, "status");
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (const Json& container : Array(status, list)) {
      const Json& state = Object(container, "state");
      const Json& waiting = Object(state, "waiting");
      std::string reason = Str(waiting, "reason");
      if (reason.empty() || reason == "PodInitializing") continue;
      std::string text = "pod ";
      text.append(pod_name).append(": ").append(reason);
      // What it said when it last ended tells more than that kubelet waits to start it again.
      std::string why = Str(Object(Object(container, "lastState"), "terminated"), "message");
      if (why.empty()) why = Str(waiting, "message");
      if (!why.empty()) text.append(": ").append(why, 0, kMaxReason);
      return text;
    }
  }
  for (const Json& c : Array(status, "conditions")) {
    if (Str(c, "type") == "PodScheduled" && Str(c, "status") == "False") {
      return "pod " + pod_name + ": " + Str(c, "reason") + ": " + Str(c, "message");
    }
  }
  return "pod " + pod_name + " is not ready yet";
}

// The state of its life cycle, as the server tells it.
Result<std::string> FileSystemReconciler::Configure(const Json& fs, const std::string& address,
                                                    StatusDraft& status) {
  std::string id = FileSystemIdOf(fs);
  TRY(FileSystemFacts facts, context_.control.DescribeFileSystem(address, id));
  SetSize(facts, context_.now_seconds(), kSizeAgeSeconds, status);
  const std::string state = facts.life_cycle_state.empty() ? "available" : facts.life_cycle_state;
  if (state == "error") {
    // Such as a key that was taken away; the server takes no settings then.
    status["lifeCycleState"] = state;
    status.Waiting("FileSystemError", facts.status_message);
    return state;
  }
  const Json& spec = Object(fs, "spec");
  std::string mode = Str(spec, "throughputMode");
  double mibps = spec.value("provisionedThroughputInMiBps", 0.0);
  Result<void> done = Ok();
  if ((!mode.empty() && mode != facts.throughput_mode) ||
      (mode == "provisioned" && mibps != facts.provisioned_mibps)) {
    done = context_.control.UpdateThroughput(address, id, mode, mibps);
  }
  if (done.ok()) done = context_.control.SetTags(address, id, TagsOf(fs));
  if (done.code() == Code::kUnavailable || done.code() == Code::kDeadlineExceeded) {
    return done.error();
  }
  // What the server refuses of its settings does not keep it from serving.
  if (done.ok()) {
    status.RemoveCondition("Configured");
  } else {
    status.Condition("Configured", false, "Refused", done.error().message());
    context_.events.Warning(fs, "ConfigurationRefused", done.error().message());
  }
  return state;
}

Result<void> FileSystemReconciler::ApplyPolicy(const Json& fs, const std::string& address,
                                               StatusDraft& status) {
  std::string policy = Str(Object(fs, "spec"), "policy");
  bool applied = Object(fs, "status").value("policyApplied", false);
  // A policy that was put by other means stays: removing it would open the file system.
  if (policy.empty() && !applied) return Ok();
  auto done = context_.control.SetPolicy(address, FileSystemIdOf(fs), policy);
  if (done.ok()) {
    status["policyApplied"] = !policy.empty();
    status.RemoveCondition("PolicyApplied");
    return Ok();
  }
  if (done.code() == Code::kUnavailable || done.code() == Code::kDeadlineExceeded) return done;
  std::string message = "spec.policy: " + done.error().message();
  if (!applied) return Error(done.code(), message);
  // The one that was applied before stays in force, and the server goes on.
  status.Condition("PolicyApplied", false, "Refused", message);
  context_.events.Warning(fs, "PolicyRefused", message);
  return Ok();
}

Result<Outcome> FileSystemReconciler::Serve(const Json& fs, StatusDraft& status) {
  std::string id = FileSystemIdOf(fs);
  ObjectName name = kube::NameOf(fs);
  auto ours = [&](const Json& r) {
    return RefersTo(r, name, id) && Allows(fs, kube::NameOf(r).ns) && !IsDeleting(r);
  };
  bool was_up = IsUp(fs);
  status["fileSystemId"] = id;
  status["dnsName"] = FileSystemDnsName(fs);
  status["name"] = NameTag(fs);
  if (std::string made = Str(Object(fs, "metadata"), "creationTimestamp"); !made.empty()) {
    status["creationTime"] = made;
  }
  status["numberOfMountTargets"] = context_.mount_targets.Where(ours).size();
  status["numberOfAccessPoints"] = context_.access_points.Where(ours).size();
  status["lifeCycleState"] = was_up ? "updating" : "creating";
  TRY(CheckId(fs));
  TRY(std::string ip, EnsureService(fs));
  status["endpoint"] = ip;
  // Before the server, which does not start without them.
  TRY(EnsureServerSecret(context_, fs, ip));
  TRY(EnsureNfsSecret(context_, fs, ip));
  TRY(EnsureIssuersMap(context_, issuer_, fs, status));
  TRY(EnsureServerFiles(context_, fs, status));
  auto network = ResolveNetwork(context_, fs);
  if (network.ok()) network_watch_.Note(name, *network);
  Result<void> closed = network.ok() ? EnsureNetworkPolicy(fs, *network) : network.error();
  auto server = EnsureServer(fs, status);
  auto live = context_.stateful_sets.Find(name);
  // First of all, and whatever else of it fails.
  if (network.ok() && ((server.ok() && IsServing(*server)) || (live && IsServing(*live)))) {
    auto set = context_.control.SetSecurityGroups(JoinHostPort(ip, kControlPort), id,
                                                  IdFromUid("fsmt-", UidOf(fs)), network->ranges);
    if (!set.ok()) {
      closed = Error(set.code(), "its server does not take the list of who may connect: " +
                                     set.error().message());
    }
  }
  SayNetwork(fs, network, closed, status);
  if (!server.ok()) return server.error();
  if (!IsServing(*server)) {
    status.Waiting("ServerNotReady", WhyNotRunning(fs));
    return Outcome{kWhileWaiting};
  }
  TRY(std::string state, Configure(fs, JoinHostPort(ip, kControlPort), status));
  bool error = state == "error";
  auto policy = ApplyPolicy(fs, JoinHostPort(ip, kControlPort), status);
  // One that was never made takes neither, and the status says why it is not.
  if (error && (!closed.ok() || !policy.ok())) return Outcome{kWhileWaiting};
  TRY(policy);
  // Nobody finds a new one before it has its list, and so lets somebody in. One that serves goes on
  // with the list it has.
  if (!closed.ok() && !was_up) return closed.error();
  TRY(PutInRegistry(context_, fs, ip));
  // Not before: the next round takes it for one that serves.
  status["lifeCycleState"] = state;
  if (error) return Outcome{kWhileWaiting};
  status.Ready("Available", "serves NFS at " + JoinHostPort(ip, kNfsPort));
  return Outcome{closed.ok() ? kRefresh : kWhileOpen};
}

Result<Outcome> FileSystemReconciler::Delete(const Json& fs) {
  if (!HasFinalizer(fs)) return Outcome{};
  auto users = UsersOfFileSystem(context_, fs, context_.volumes.All());
  if (users.empty()) {
    // Nobody can find it from here on; then look once more, at the API server itself.
    TRY(RemoveFromRegistry(context_, FileSystemIdOf(fs)));
    TRY(std::vector<Json> volumes, LiveVolumes(context_));
    users = UsersOfFileSystem(context_, fs, volumes);
  }
  if (!users.empty()) return Blocked(fs, users);
  StatusDraft status(context_, kFileSystem, fs);
  status["lifeCycleState"] = "deleting";
  status.RemoveCondition("DeletionBlocked");
  status.Waiting("Deleting", "nobody uses it; its server and volume are being removed");
  TRY(status.Write());
  TRY(RemoveChildren(fs));
  // On the version that is there now: the status was just written.
  auto now = context_.client.Get(kFileSystem, kube::NameOf(fs));
  if (now.code() == Code::kNotFound) return Outcome{};
  if (!now.ok()) return now.error();
  TRY(SetFinalizer(context_.client, kFileSystem, *now, false));
  return Outcome{};
}

Result<Outcome> FileSystemReconciler::Blocked(const Json& fs,
                                              const std::vector<std::string>& users) {
  StatusDraft status(context_, kFileSystem, fs);
  auto outcome = Serve(fs, status);
  if (!outcome.ok()) status.Failed(outcome.error());
  std::string message = "still used by " + Sentence(users) +
                        "; it goes on serving, and is deleted when they are gone";
  status.Condition("DeletionBlocked", true, "FileSystemInUse", message);
  context_.events.Warning(fs, "FileSystemInUse", message);
  auto written = status.Write();
  if (!outcome.ok()) return outcome.error();
  if (!written.ok()) return written.error();
  return Outcome{std::min<std::chrono::milliseconds>(outcome->again_after, kWhileBlocked)};
}

Result<void> FileSystemReconciler::RemoveChildren(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  std::string uid = UidOf(fs);
  TRY(DeleteChild(context_, kStatefulSet, name, uid));
  if (Str(Object(fs, "spec"), "deletionPolicy") != "Retain") {
    TRY(DeleteChild(context_, kClaim, DataClaim(fs), uid));
  }
  return DeleteChild(context_, kService, name, uid);
}

}  // namespace tarn::op
