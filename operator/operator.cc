#include "operator/operator.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/volume_handle.h"
#include "operator/control_tls.h"
#include "operator/network.h"
#include "operator/nfs_tls.h"
#include "operator/references.h"
#include "operator/registry.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Informer;
using kube::Object;
using kube::Str;

// PersistentVolumes are many and large; only this much of one matters here.
void TrimVolume(Json& volume) {
  const Json& spec = Object(volume, "spec");
  const Json& csi = Object(spec, "csi");
  const Json& claim = Object(spec, "claimRef");
  const Json& metadata = Object(volume, "metadata");
  volume = {
      {"metadata",
       {{"name", Str(metadata, "name")},
        {"uid", Str(metadata, "uid")},
        {"resourceVersion", Str(metadata, "resourceVersion")}}},
      {"spec",
       {{"csi", {{"driver", Str(csi, "driver")}, {"volumeHandle", Str(csi, "volumeHandle")}}},
        {"claimRef", {{"namespace", Str(claim, "namespace")}, {"name", Str(claim, "name")}}}}}};
}

}  // namespace

Informer::Options Operator::Ours(const std::string& ns) const {
  return {.list = {.ns = ns, .label_selector = kManagedByLabel + "=" + kManagedBy},
          .trim = {},
          .first_retry = tuning_.first_retry,
          .last_retry = tuning_.last_retry};
}

Operator::Operator(Settings settings, kube::Client& client, ControlApi& control,
                   std::function<int64_t()> now_seconds, Tuning tuning)
    : settings_(std::move(settings)),
      tuning_(tuning),
      events_(client, "tarn-operator"),
      file_systems_(client, kFileSystem, {{}, {}, tuning.first_retry, tuning.last_retry}),
      mount_targets_(client, kMountTarget, {{}, {}, tuning.first_retry, tuning.last_retry}),
      access_points_(client, kAccessPoint, {{}, {}, tuning.first_retry, tuning.last_retry}),
      lifecycle_policies_(client, kLifecyclePolicy,
                          {{}, {}, tuning.first_retry, tuning.last_retry}),
      volumes_(client, kVolume, {{}, TrimVolume, tuning.first_retry, tuning.last_retry}),
      stateful_sets_(client, kStatefulSet, Ours("")),
      services_(client, kService, Ours("")),
      budgets_(client, kBudget, Ours("")),
      network_policies_(client, kNetworkPolicy, Ours("")),
      nodes_(client, kNode, {{}, TrimNode, tuning.first_retry, tuning.last_retry}),
      registry_(client, kConfigMap, Ours(settings_.ns)),
      recent_(client, now_seconds),
      cilium_(client, now_seconds),
      context_{settings_,         client,         events_,        control,
               file_systems_,     mount_targets_, access_points_, lifecycle_policies_,
               volumes_,          stateful_sets_, services_,      budgets_,
               network_policies_, nodes_,         registry_,      std::move(now_seconds),
               recent_,           cilium_},
      network_watch_(
          context_, [this](const ObjectName& n) { file_system_queue_.Add(n); },
          tuning.pods_refresh),
      file_system_(context_, network_watch_),
      mount_target_(context_),
      access_point_(context_),
      lifecycle_policy_(context_),
      denials_(context_),
      file_system_queue_("FileSystem",
                         [this](const ObjectName& n) { return file_system_.Reconcile(n); }),
      mount_target_queue_("MountTarget",
                          [this](const ObjectName& n) { return mount_target_.Reconcile(n); }),
      access_point_queue_("AccessPoint",
                          [this](const ObjectName& n) { return access_point_.Reconcile(n); }),
      lifecycle_policy_queue_(
          "LifecyclePolicy",
          [this](const ObjectName& n) { return lifecycle_policy_.Reconcile(n); }),
      denial_queue_("Denials", [this](const ObjectName& n) { return denials_.Reconcile(n); }),
      network_queue_("Network",
                     [this](const ObjectName& n) { return network_watch_.Reconcile(n); }) {
  WireFileSystems();
  WireChildren();
  WireVolumes();
  WireNodes();
}

Operator::~Operator() {
  Stop();
}

// Everything that names this file system looks again: it may have come, gone, or become ready.
void Operator::AddReferrers(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  std::string id = FileSystemIdOf(fs);
  auto names_it = [&](const Json& r) { return RefersTo(r, name, id); };
  for (const Json& r : mount_targets_.Where(names_it)) mount_target_queue_.Add(kube::NameOf(r));
  for (const Json& r : access_points_.Where(names_it)) access_point_queue_.Add(kube::NameOf(r));
  for (const Json& r : lifecycle_policies_.Where(names_it)) {
    lifecycle_policy_queue_.Add(kube::NameOf(r));
  }
}

// The file system that this resource names: its counts, its registry entry, its refused deletion.
void Operator::AddReferred(const Json& resource) {
  auto fs = NamedFileSystem(context_, resource);
  if (fs.ok()) file_system_queue_.Add(kube::NameOf(*fs));
}

void Operator::AddOwner(const Json& child) {
  const Json& labels = Object(Object(child, "metadata"), "labels");
  std::string ns = kube::NameOf(child).ns;
  if (std::string name = Str(labels, kFileSystemLabel); !name.empty()) {
    file_system_queue_.Add({ns, name});
  }
  if (std::string name = Str(labels, kMountTargetLabel); !name.empty()) {
    mount_target_queue_.Add({ns, name});
  }
}

void Operator::WireFileSystems() {
  file_systems_.OnChange([this](const Json& fs, bool) {
    file_system_queue_.Add(kube::NameOf(fs));
    denial_queue_.Add(kube::NameOf(fs));
    network_queue_.Add(kube::NameOf(fs));
    AddReferrers(fs);
  });
  mount_targets_.OnChange([this](const Json& mt, bool) {
    mount_target_queue_.Add(kube::NameOf(mt));
    auto fs = NamedFileSystem(context_, mt);
    if (!fs.ok()) return;
    file_system_queue_.Add(kube::NameOf(*fs));
    network_queue_.Add(kube::NameOf(*fs));
  });
  access_points_.OnChange([this](const Json& ap, bool) {
    access_point_queue_.Add(kube::NameOf(ap));
    AddReferred(ap);
  });
  lifecycle_policies_.OnChange([this](const Json& policy, bool) {
    lifecycle_policy_queue_.Add(kube::NameOf(policy));
    // Another one of the same file system may now be the one that counts.
    auto fs = NamedFileSystem(context_, policy);
    if (fs.ok()) {
      ObjectName name = kube::NameOf(*fs);
      std::string id = FileSystemIdOf(*fs);
      for (const Json& other :
           lifecycle_policies_.Where([&](const Json& p) { return RefersTo(p, name, id); })) {
        lifecycle_policy_queue_.Add(kube::NameOf(other));
      }
    }
  });
}

void Operator::WireChildren() {
  for (Informer* children : {&stateful_sets_, &services_, &budgets_, &network_policies_}) {
    children->OnChange([this](const Json& child, bool) { AddOwner(child); });
  }
  registry_.OnChange([this](const Json& map, bool) {
    std::string name = kube::NameOf(map).name;
    if (name != kRegistryName && name != kNfsCa) return;
    for (const Json& fs : file_systems_.All()) file_system_queue_.Add(kube::NameOf(fs));
    for (const ObjectName& fs : Registered(context_)) file_system_queue_.Add(fs);
  });
}

void Operator::WireVolumes() {
  // Only a refused deletion waits for volumes.
  volumes_.OnChange([this](const Json& volume, bool deleted) {
    if (!deleted) return;
    std::string handle = Str(Object(Object(volume, "spec"), "csi"), "volumeHandle");
    std::string id = FileSystemIdOfHandle(handle), ap_id = AccessPointIdOfHandle(handle);
    for (const Json& fs : file_systems_.Where(
             [&](const Json& f) { return IsDeleting(f) && FileSystemIdOf(f) == id; })) {
      file_system_queue_.Add(kube::NameOf(fs));
    }
    for (const Json& ap : access_points_.Where([&](const Json& a) {
           return IsDeleting(a) && Str(Object(a, "status"), "accessPointId") == ap_id;
         })) {
      access_point_queue_.Add(kube::NameOf(ap));
    }
  });
}

// A node's own address must be let in before its first mount; what else of a node changes, and it
// does so every few minutes, is nobody's business here.
void Operator::WireNodes() {
  nodes_.OnChange([this](const Json& node, bool deleted) {
    std::string name = kube::NameOf(node).name;
    if (!deleted && node_ranges_[name] == Array(node, "ranges")) return;
    node_ranges_[name] = Array(node, "ranges");
    if (deleted) node_ranges_.erase(name);
    for (const Json& fs : file_systems_.All()) file_system_queue_.Add(kube::NameOf(fs));
  });
}

std::vector<Informer*> Operator::Informers() {
  return {&file_systems_,     &mount_targets_, &access_points_, &lifecycle_policies_,
          &volumes_,          &stateful_sets_, &services_,      &budgets_,
          &network_policies_, &nodes_,         &registry_};
}

void Operator::Watch() {
  for (Informer* informer : Informers()) {
    informer->Start();
  }
}

bool Operator::Synced() {
  auto all = Informers();
  return std::all_of(all.begin(), all.end(), [](const Informer* i) { return i->synced(); });
}

bool Operator::WaitSynced(std::chrono::milliseconds timeout) {
  auto end = std::chrono::steady_clock::now() + timeout;
  for (Informer* informer : Informers()) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (!informer->WaitSynced(std::max(left, std::chrono::milliseconds(0)))) return false;
  }
  return true;
}

void Operator::Lead() {
  // So that access points do not wait for the first file system; each of those sees to it as well.
  if (auto ca = EnsureAuthority(context_); !ca.ok()) {
    spdlog::warn("the control API's certificates: {}", ca.error().ToString());
  }
  // So that nodes have it before there is anything to mount.
  if (auto ca = EnsureNfsAuthority(context_); !ca.ok()) {
    spdlog::warn("the authority of NFS over TLS: {}", ca.error().ToString());
  }
  std::lock_guard lock(mu_);
  if (stopped_) return;
  for (kube::Controller* queue : {&file_system_queue_, &mount_target_queue_, &access_point_queue_,
                                  &lifecycle_policy_queue_, &denial_queue_, &network_queue_}) {
    queue->Start();
  }
}

void Operator::Stop() {
  std::lock_guard lock(mu_);
  stopped_ = true;
  for (kube::Controller* queue : {&file_system_queue_, &mount_target_queue_, &access_point_queue_,
                                  &lifecycle_policy_queue_, &denial_queue_, &network_queue_}) {
    queue->Stop();
  }
  for (Informer* informer : Informers()) {
    informer->Stop();
  }
}

std::string Operator::Metrics() const {
  std::string out;
  auto family = [&](const std::string& name, const char* type, const char* help, auto value) {
    out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    for (const auto& [kind, queue] : {std::pair{"FileSystem", &file_system_queue_},
                                      std::pair{"MountTarget", &mount_target_queue_},
                                      std::pair{"AccessPoint", &access_point_queue_},
                                      std::pair{"LifecyclePolicy", &lifecycle_policy_queue_}}) {
      out += name + "{kind=\"" + kind + "\"} " + std::to_string(value(*queue)) + "\n";
    }
  };
  family("tarn_operator_reconciles_total", "counter", "Reconciles run.",
         [](const kube::Controller& c) { return c.reconciles(); });
  family("tarn_operator_reconcile_failures_total", "counter", "Reconciles that failed.",
         [](const kube::Controller& c) { return c.failures(); });
  family("tarn_operator_queue_depth", "gauge", "Keys that wait, now or for later.",
         [](const kube::Controller& c) { return uint64_t{c.queue().size()}; });
  family("tarn_operator_queue_dropped_total", "counter", "Keys that found the queue full.",
         [](const kube::Controller& c) { return c.queue().dropped(); });
  return out;
}

}  // namespace tarn::op
