// What every reconciler is given: the cluster, the caches, the control API, and the settings of
// this process.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "operator/cilium.h"
#include "operator/control.h"
#include "operator/kube/client.h"
#include "operator/kube/conditions.h"
#include "operator/kube/controller.h"
#include "operator/kube/informer.h"
#include "operator/kube/recent.h"

namespace tarn::op {

using kube::Json;
using kube::ObjectName;
using kube::Outcome;

struct Settings {
  std::string ns;  // the operator's own namespace
  std::string server_image;
  std::string driver_name;
  std::string token_audience;  // of pods' tokens: CSIDriver's tokenRequests ask for it
  // Addresses of nodes that their Node objects do not tell.
  std::vector<std::string> node_ranges = {};
  std::string network_policies = "auto";  // always, never, or auto: unless the cluster has Cilium
};

// All by reference: main (or a test) owns them and they outlive the reconcilers.
struct Context {
  Settings settings;
  kube::Client& client;
  kube::EventRecorder& events;
  ControlApi& control;
  kube::Informer& file_systems;
  kube::Informer& mount_targets;
  kube::Informer& access_points;
  kube::Informer& lifecycle_policies;
  kube::Informer& volumes;        // PersistentVolumes, trimmed to spec.csi and spec.claimRef
  kube::Informer& stateful_sets;  // this and the next three: only ours
  kube::Informer& services;
  kube::Informer& budgets;
  kube::Informer& network_policies;
  kube::Informer& nodes;     // trimmed by TrimNode
  kube::Informer& registry;  // ConfigMaps of ours in settings.ns
  std::function<int64_t()> now_seconds;
  kube::Recent& recent;  // Secrets and ConfigMaps by name, ServiceMonitors
  Cilium& cilium;
};

}  // namespace tarn::op
