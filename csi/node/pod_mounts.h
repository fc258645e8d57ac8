// PodMounts: volumes that are mounted for one pod each, through the node's tunnel, with the pod's
// identity in the client certificate (common/tls/identity_certificate.h).
//
// The tunnel's mount is named after the pod's target path, so that nothing has to be remembered:
// what is mounted is read from mountinfo, what is open from the tunnel. Kubelet publishes a volume
// that is published again about once a minute (CSIDriver.spec.requiresRepublish): that is how a new
// token gets into a new certificate; the mount stays. What certificates were made of is kept in
// memory, so that all other such calls cost a look at mountinfo; after a restart each mount gets a
// new one.
//
// Thread-safe. Calls block for the deadlines of Host, Mounter and Tunnel at most.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "csi/mount/host.h"
#include "csi/mount/mounter.h"
#include "csi/node/plan.h"
#include "csi/node/pod.h"
#include "csi/node/volume_records.h"
#include "csi/tunnel/tunnel.h"
#include "csi/volume_locks.h"

namespace tarn::csi {

struct PublishRequest {
  StageRequest stage;
  std::string target_path;
  bool read_only = false;
  bool single_writer = false;  // no second publish on this node
  Pod pod;
};

struct PodMountsOptions {
  std::string records_dir;  // made when it is not there
  std::string pods_dir;     // where kubelet's target paths are
  // The certificates that may have signed servers'; read at each use. It need not be there yet.
  std::string authority_file;
  std::string log_dir;  // of FUSE processes, one file a mount; empty: they are left alone
  std::chrono::milliseconds mount_deadline{30'000};
};

class PodMounts {
 public:
  static constexpr std::chrono::milliseconds kLockWait{2000};
  static constexpr std::chrono::hours kLogsKept{24};

  // All outlive it.
  PodMounts(Host& host, Mounter& mounter, Tunnel& tunnel, const Planner& planner,
            PodMountsOptions options, const Clock& clock = SystemClock());

  // Idempotent, and made to be called again and again. kDenied: the server refuses the pod.
  // kUnavailable: the tunnel, the authority's file or the server is not there (yet). The others as
  // of Volumes::Publish.
  Result<void> Publish(const PublishRequest& request, const Plan& plan);
  // After the unmount: closes what carried it. What fails is logged, and done by Reconcile later.
  void Forget(const std::string& target);
  // Whether it was published here and not taken away.
  bool Has(const std::string& target) const { return records_.Has(target); }

  // Mounts anew what dead FUSE processes served; returns how many.
  int RepairAll();
  // Closes what carries no mount, and removes logs of mounts that are gone for kLogsKept.
  void Reconcile();

  // "csi.POD_UID.HASH", of the tunnel's mount under `target`.
  std::string MountId(const std::string& target) const;

 private:
  struct Made {
    std::string of;  // a hash of all that the certificate and its use depend on
    std::chrono::sys_seconds renew_at;
  };
  // What Open needs, and what it depends on.
  struct Identity {
    Tunnel::OpenRequest request;
    std::string of;
  };
  Result<Identity> Identify(const PublishRequest& request, const Plan& plan) const;
  // Makes a certificate and opens (or renews) the tunnel's mount; its address.
  Result<std::string> Open(const PublishRequest& request, const Plan& plan, Identity identity);
  Result<void> CheckSingleWriter(const PublishRequest& request,
                                 const std::vector<MountEntry>& mounts) const;
  Result<void> MountAt(const PublishRequest& request, const Plan& plan, const std::string& address);
  Error Explain(const Error& error, const PublishRequest& request, const Plan& plan);
  Result<bool> RepairOne(const VolumeRecord& record, std::set<std::string>& silent);
  void RemoveOldLogs(const std::set<std::string>& live) const;
  bool IsFresh(const std::string& id, const std::string& of);

  Host& host_;
  Mounter& mounter_;
  Tunnel& tunnel_;
  const Planner& planner_;
  const PodMountsOptions options_;
  const Clock& clock_;
  const VolumeRecords records_;
  VolumeLocks locks_;  // by mount id
  std::mutex mu_;
  std::map<std::string, Made> made_;  // by mount id; Reconcile keeps only what is open
};

}  // namespace tarn::csi
