// Names, ids and the small parts that every object of ours has.
#pragma once

#include <string>

#include "common/text.h"
#include "operator/kube/client.h"
#include "operator/kube/text.h"

namespace tarn::op {

inline const std::string kGroup = "tarn.dev";
inline const std::string kFinalizer = "tarn.dev/operator";
inline const std::string kRegistryName = "tarn-file-systems";
inline const std::string kCaSecret = "tarn-control-ca";
// Who our programs are to the control API of file servers: a client certificate each.
inline const std::string kOperatorClientSecret = "tarn-control-operator";
inline const std::string kProvisionerClientSecret = "tarn-control-provisioner";
inline const std::string kAdminClientSecret = "tarn-control-admin";
inline const std::string kNfsCa = "tarn-nfs-ca";  // a Secret, and a ConfigMap for clients
inline constexpr int kNfsPort = 2049;
inline constexpr int kControlPort = 9400;
inline constexpr int kHttpPort = 9401;

inline const kube::ResourceType kFileSystem{"tarn.dev", "v1alpha1", "filesystems", "FileSystem",
                                            true};
inline const kube::ResourceType kMountTarget{"tarn.dev", "v1alpha1", "mounttargets", "MountTarget",
                                             true};
inline const kube::ResourceType kAccessPoint{"tarn.dev", "v1alpha1", "accesspoints", "AccessPoint",
                                             true};
inline const kube::ResourceType kLifecyclePolicy{"tarn.dev", "v1alpha1", "lifecyclepolicies",
                                                 "LifecyclePolicy", true};
inline const kube::ResourceType kStatefulSet{"apps", "v1", "statefulsets", "StatefulSet", true};
inline const kube::ResourceType kService{"", "v1", "services", "Service", true};
inline const kube::ResourceType kSecret{"", "v1", "secrets", "Secret", true};
inline const kube::ResourceType kConfigMap{"", "v1", "configmaps", "ConfigMap", true};
inline const kube::ResourceType kVolume{"", "v1", "persistentvolumes", "PersistentVolume", false};
inline const kube::ResourceType kClaim{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim",
                                       true};
inline const kube::ResourceType kPod{"", "v1", "pods", "Pod", true};
inline const kube::ResourceType kNode{"", "v1", "nodes", "Node", false};
inline const kube::ResourceType kNamespace{"", "v1", "namespaces", "Namespace", false};
inline const kube::ResourceType kNetworkPolicy{"networking.k8s.io", "v1", "networkpolicies",
                                               "NetworkPolicy", true};
inline const kube::ResourceType kServiceMonitor{"monitoring.coreos.com", "v1", "servicemonitors",
                                                "ServiceMonitor", true};
inline const kube::ResourceType kBudget{"policy", "v1", "poddisruptionbudgets",
                                        "PodDisruptionBudget", true};

// `prefix` ("fs-", "fsmt-") and 17 hex digits that follow from the custom resource's uid, so that a
// repeated or restarted reconcile always means the same resource.
std::string IdFromUid(const std::string& prefix, const std::string& uid);

// Of a custom resource.
std::string UidOf(const kube::Json& object);
int64_t GenerationOf(const kube::Json& object);
bool IsDeleting(const kube::Json& object);
bool HasFinalizer(const kube::Json& object);
std::string FileSystemIdOf(const kube::Json& file_system);

// Adds or takes away our finalizer, on exactly the version that `object` is (kAborted if it has
// moved on).
Result<void> SetFinalizer(kube::Client& client, const kube::ResourceType& type,
                          const kube::Json& object, bool on);

// Labels of what we make. The owner's name tells whom to reconcile when a child changes; its uid
// tells a child of ours from somebody else's object of the same name.
inline const std::string kManagedByLabel = "app.kubernetes.io/managed-by";
inline const std::string kManagedBy = "tarn-operator";
inline const std::string kOwnerUidLabel = "tarn.dev/owner-uid";
inline const std::string kFileSystemLabel = "tarn.dev/file-system";
inline const std::string kMountTargetLabel = "tarn.dev/mount-target";

// How a child goes away. What carries data or addresses in use is deleted by the reconciler alone:
// the garbage collector would take it first when somebody deletes the owner in the foreground, even
// though its deletion is refused.
enum class Gone { kWithOwner, kByReconciler };

// metadata of a child in its owner's namespace: name, labels, and for kWithOwner an owner
// reference.
kube::Json ChildMetadata(const kube::Json& owner, const kube::ResourceType& owner_type,
                         const std::string& name, Gone gone);
kube::Json SelectorLabels(const std::string& file_system_id);

}  // namespace tarn::op
