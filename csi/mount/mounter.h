// Mounter: makes one NFS export appear at a directory of this node. Two exist: the kernel's NFS
// client, and a FUSE process over libnfs for kernels without one. Unmounting is the same for both
// (csi/mount/host.h).
//
// Thread-safe; calls block, at most `deadline`. A mount outlives this process.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "common/result.h"
#include "csi/mount/helper_runner.h"
#include "csi/mount/mount_info.h"
#include "csi/mount/mount_options.h"

namespace tarn::csi {

struct MountRequest {
  std::string server;       // address:port
  std::string export_path;  // "/fsap-…"
  std::string target;       // a directory; made when it is not there
  MountOptions options;
  std::string log_name;  // of a FUSE process; empty: made of the export path
};

class Mounter {
 public:
  virtual ~Mounter() = default;
  virtual std::string_view name() const = 0;  // "kernel", "fuse"
  // kUnavailable or kDeadlineExceeded: the server does not answer; kNotFound: it has no such
  // export; kDenied: it refuses us; kNotSupported: this node cannot; else kInternal. After an error
  // nothing is mounted.
  virtual Result<void> Mount(const MountRequest& request, std::chrono::milliseconds deadline) = 0;
};

// Whether `entry` is a mount of that export by either mounter. An access point's id is unique, so
// the server's address, which may have changed since, counts only for exports that are none.
bool IsMountOf(const MountEntry& entry, const std::string& server, const std::string& export_path);
// "address:port" of the server that a mount of either mounter is connected to; kNotFound: it does
// not say.
Result<std::string> MountedServer(const MountEntry& entry);
// Whether it is one of ours at all.
bool IsTarnMount(const MountEntry& entry);

struct MounterOptions {
  std::string mounter = "auto";  // auto, kernel, fuse
  std::string log_dir;           // of FUSE processes; made when it is not there
  std::string cgroup;            // FUSE processes move there; empty: they stay
  std::string log_level = "info";
};

// kInvalid: no such mounter. `auto` asks the kernel at the first mount and then stays with what
// worked. `runner` must outlive it.
Result<std::unique_ptr<Mounter>> NewMounter(HelperRunner& runner, const MounterOptions& options);

}  // namespace tarn::csi
