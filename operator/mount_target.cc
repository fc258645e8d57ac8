#include "operator/mount_target.h"

#include "operator/children.h"
#include "operator/references.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Object;
using kube::Str;

std::string ZoneOf(const Json& mt) {
  return Str(Object(mt, "spec"), "availabilityZoneName");
}

std::string Rank(const Json& mt) {
  return Str(Object(mt, "metadata"), "creationTimestamp") + " " + kube::NameOf(mt).Key();
}

// The address that clients of that kind of Service use; empty: not there yet.
std::string AddressOf(const Json& service) {
  const Json& spec = Object(service, "spec");
  if (Str(spec, "type") != "LoadBalancer") return Str(spec, "clusterIP");
  for (const Json& in : Array(Object(Object(service, "status"), "loadBalancer"), "ingress")) {
    if (std::string ip = Str(in, "ip"); !ip.empty()) return ip;
    if (std::string host = Str(in, "hostname"); !host.empty()) return host;
  }
  return {};
}

Error AlreadyServed(const ObjectName& by, const std::string& zone, const std::string& id) {
  return Error(Code::kAlreadyExists, "spec.availabilityZoneName: MountTarget " + by.Key() +
                                         " already serves " +
                                         (zone.empty() ? "no zone" : "zone " + zone) + " of " + id +
                                         "; delete one of the two");
}

}  // namespace

Json MountTargetService(const Json& mt, const Json& fs, const std::string& cluster_ip) {
  const Json& wanted = Object(Object(mt, "spec"), "service");
  Json metadata = ChildMetadata(mt, kMountTarget, kube::NameOf(mt).name + "-nfs", Gone::kWithOwner);
  if (const Json& notes = Object(wanted, "annotations"); !notes.empty()) {
    metadata["annotations"] = notes;
  }
  std::string type = Str(wanted, "type");
  Json spec = {
      {"type", type.empty() ? "ClusterIP" : type},
      {"selector", SelectorLabels(FileSystemIdOf(fs))},
      {"publishNotReadyAddresses", true},
      {"ports",
       {{{"name", "nfs"}, {"port", kNfsPort}, {"targetPort", "nfs"}, {"protocol", "TCP"}}}}};
  // Else clients from outside would come from a node's address, and nodes are always let in.
  if (!type.empty() && type != "ClusterIP") {
    spec["externalTrafficPolicy"] = "Local";
  }
  if (const Json& ranges = Array(wanted, "loadBalancerSourceRanges"); !ranges.empty()) {
    spec["loadBalancerSourceRanges"] = ranges;
  }
  if (!cluster_ip.empty()) spec["clusterIP"] = cluster_ip;
  return {{"metadata", metadata}, {"spec", spec}};
}

Result<Outcome> MountTargetReconciler::Reconcile(const ObjectName& name) {
  auto mt = context_.mount_targets.Find(name);
  if (!mt || IsDeleting(*mt)) return Outcome{};
  StatusDraft status(context_, kMountTarget, *mt);
  auto outcome = Serve(*mt, status);
  if (!outcome.ok()) {
    status["lifeCycleState"] = "error";
    status.Failed(outcome.error());
  }
  auto written = status.Write();
  if (outcome.ok() && !written.ok()) return written.error();
  return outcome;
}

Result<void> MountTargetReconciler::CheckZone(const Json& mt, const Json& fs) {
  ObjectName fs_name = kube::NameOf(fs);
  std::string id = FileSystemIdOf(fs);
  for (const Json& other : context_.mount_targets.Where([&](const Json& m) {
         return UidOf(m) != UidOf(mt) && ZoneOf(m) == ZoneOf(mt) && RefersTo(m, fs_name, id);
       })) {
    if (Rank(other) > Rank(mt) || IsDeleting(other)) continue;
    return AlreadyServed(kube::NameOf(other), ZoneOf(mt), id);
  }
  return Ok();
}

Result<Json> MountTargetReconciler::EnsureService(const Json& mt, const Json& fs) {
  std::string asked = Str(Object(mt, "spec"), "ipAddress");
  std::string ip = asked;
  if (ip.empty()) {
    // The address that clients have, should the Service have been deleted.
    auto there = context_.services.Find({kube::NameOf(mt).ns, kube::NameOf(mt).name + "-nfs"});
    ip = there ? Str(Object(*there, "spec"), "clusterIP") : Str(Object(mt, "status"), "clusterIp");
  }
  auto made = EnsureChild(context_, context_.services, MountTargetService(mt, fs, ip));
  if (made.code() != Code::kInvalid || ip.empty()) return made;
  if (!asked.empty()) {
    return Error(Code::kInvalid, "spec.ipAddress: " + made.error().message());
  }
  return EnsureChild(context_, context_.services, MountTargetService(mt, fs, ""));
}

Result<Outcome> MountTargetReconciler::Serve(const Json& mt, StatusDraft& status) {
  std::string id = IdFromUid("fsmt-", UidOf(mt));
  status["mountTargetId"] = id;
  auto found = ResolveFileSystem(context_, mt);
  if (!found.ok()) {
    status["lifeCycleState"] = "error";
    status.Failed(found.error());
    return Outcome{};  // a FileSystem's change brings us back
  }
  const Json& fs = *found;
  status["fileSystemId"] = FileSystemIdOf(fs);
  if (std::string zone = ZoneOf(mt); !zone.empty()) status["availabilityZoneName"] = zone;
  TRY(CheckZone(mt, fs));
  TRY(Json service, EnsureService(mt, fs));
  status["port"] = kNfsPort;
  status["dnsName"] = kube::NameOf(mt).name + "-nfs." + kube::NameOf(mt).ns + ".svc";
  if (std::string ip = Str(Object(service, "spec"), "clusterIP"); !ip.empty()) {
    status["clusterIp"] = ip;
  }
  status["lifeCycleState"] = "creating";
  std::string address = AddressOf(service);
  if (address.empty()) {
    status.Waiting("WaitingForAddress", "the Service has no address yet");
    return Outcome{kWhileWaiting};
  }
  status["ipAddress"] = address;
  auto ready = ReadyAddress(fs);
  if (!ready.ok()) {
    status.Waiting("FileSystemNotReady", ready.error().message());
    return Outcome{};  // the FileSystem's change brings us back
  }
  status["lifeCycleState"] = "available";
  status.Ready("Available", "serves NFS at " + JoinHostPort(address, kNfsPort));
  return Outcome{};
}

}  // namespace tarn::op
