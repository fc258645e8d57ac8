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
#include <vector>

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
  // A check of a mount that hangs takes seconds: after so many the others of its file system wait
  // for the next round.
  static constexpr int kSilentMax = 3;

  // All outlive it.
  PodMounts(Host& host, Mounter& mounter, Tunnel& tunnel, const Planner& planner,
            PodMountsOptions options, const Clock& clock = SystemClock());

  // Idempotent, and made to be called again and again. kDenied: the server refuses the pod.
  // kUnavailable: the tunnel, the authority's file or the server is not there (yet). The others as
  // of Volumes::Publish.
  Result<void> Publish(const PublishRequest& request, const Plan& plan);
  // Unmounts it, by whomever it was published. With the pod's last mount all closes that carried
  // them, not before: the kernel's client uses one connection for all mounts with one identity.
  // What fails to close is logged, and done by Reconcile later. kAborted: it is being published.
  Result<void> Unpublish(const std::string& target);
  // Whether it was published here and not taken away.
  bool Has(const std::string& target) const { return records_.Has(target); }

  // Mounts anew what dead FUSE processes served; returns how many.
  int RepairAll();
  // Closes what is open for pods without a mount, and removes logs of mounts that are gone for
  // kLogsKept.
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
  // `left`: it failed, and what it opened may have to be closed.
  Result<void> PublishLocked(const PublishRequest& request, const Plan& plan, bool& left);
  // Whether `connected` is the address of another mount of the pod with the same identity: the
  // kernel's client then uses the connection that it has.
  bool IsCarriedByAnother(const std::string& id, const Plan& plan, const std::string& connected);
  void Forget(const std::string& target);
  // Of mounts through the tunnel, what their ids begin with.
  std::set<std::string> PodsOf(const std::vector<MountEntry>& mounts) const;
  // Closes all that is open for the pod of `id` when none of its mounts is there; takes the locks.
  void CloseIfIdle(const std::string& id, std::chrono::milliseconds wait);
  Result<bool> RepairOne(const VolumeRecord& record, std::map<std::string, int>& silent);
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
