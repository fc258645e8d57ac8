// Mount options of a volume: what a StorageClass or PersistentVolume may ask for, checked against a
// list before any of it gets near mount(2).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

struct MountOptions {
  unsigned long flags = 0;  // MS_* of mount(2)
  // Of the EFS mount helper, never given to a kernel or FUSE mount. "iam": the mount must be that
  // of somebody the server knows.
  bool tls = false, iam = false;
  std::string access_point_id;  // of "accesspoint=", else the volume handle's
  // NFS options by name; a value of "" is an option without "=". Defaults are not in it.
  std::map<std::string, std::string> nfs;

  // "ro,nosuid,timeo=100": both kinds, for the FUSE mounter.
  std::string ToString() const;
};

// Takes each as `mountOptions` lists it, upper or lower case; a later one wins. kInvalid names the
// option: unknown, a value that is out of bounds, or one that holds a comma, a space or a control
// character. "accesspoint=" must name `access_point_id` unless that, the volume handle's, is empty.
Result<MountOptions> ParseMountOptions(const std::vector<std::string>& list,
                                       const std::string& access_point_id);

// Whether such a volume is encrypted in transit: as `asked`, else by "tls" or `otherwise`.
// kInvalid: they contradict each other.
Result<bool> IsEncrypted(const MountOptions& options, std::optional<bool> asked, bool otherwise);

// The data argument of mount(2) for type nfs4: the defaults that EFS recommends, `options` over
// them, and the addresses. `client_address` may be empty.
std::string NfsMountData(const MountOptions& options, const std::string& server_address, int port,
                         const std::string& client_address);

}  // namespace tarn::csi
