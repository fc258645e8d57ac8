// The volume context: what CreateVolume tells the node (or a person writes as volumeAttributes of a
// PersistentVolume), so that the node plugin needs no Kubernetes API to mount.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/result.h"
#include "csi/registry.h"

namespace tarn::csi {

// address:port of the NFS server.
inline constexpr const char* kNfsAddressKey = "nfsAddress";
// EFS's: an IP address (here also address:port), and JSON from zone to that.
inline constexpr const char* kMountTargetIpKey = "mounttargetip";
inline constexpr const char* kMountTargetIpMapKey = "mounttargetipmap";

// Kubelet's: the pod's ServiceAccount tokens, JSON by audience. A secret, though CSI's volume
// context is not marked as one.
inline constexpr const char* kTokensKey = "csi.storage.k8s.io/serviceAccount.tokens";

// "true" or "false": whether the node mounts through TLS.
inline constexpr const char* kEncryptInTransitKey = "encryptInTransit";

// The topology label that zones of nodes and volumes go by.
inline constexpr const char* kZoneKey = "topology.kubernetes.io/zone";

struct VolumeContext {
  std::string nfs_address;
  std::string mount_target_ip;
  std::map<std::string, std::string> by_zone;
  std::optional<bool> encrypt_in_transit;  // nobody said: the node's default
};

// Keys in any case. kInvalid with the EFS driver's texts.
Result<VolumeContext> ParseVolumeContext(const std::map<std::string, std::string>& attributes);

// What CreateVolume gives.
std::map<std::string, std::string> MakeVolumeContext(const RegistryEntry& entry);

// The server to mount from: what a person wrote by hand, else the zone's own mount target, else
// what the registry (which may be newer than the volume) has, else what CreateVolume had. `entry`
// may be null. kNotFound: no server is known.
Result<std::string> ChooseServer(const VolumeContext& context, const RegistryEntry* entry,
                                 const std::string& zone);

}  // namespace tarn::csi
