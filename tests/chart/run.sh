#!/usr/bin/env bash
# The chart as Helm renders it: what values change, and which values are refused by name. Needs helm
# (in PATH, or that of hack/cluster.sh build). Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. hack/cluster/common.sh
helm=$(command -v helm || echo "$BIN/helm")
[ -x "$helm" ] || hack/cluster.sh build >/dev/null || exit 1
passed=0 failed=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }
render() { "$helm" template tarn charts/tarn --namespace somewhere "$@" 2>&1; }
# shows WHAT PATTERN ARG...: the rendering has a line of that pattern. hides: it has none.
shows() {
  local what=$1 pattern=$2; shift 2
  if render "$@" | grep -E -- "$pattern" >/dev/null; then good; else bad "$what"; fi
}
hides() {
  local what=$1 pattern=$2; shift 2
  if render "$@" | grep -E -- "$pattern" >/dev/null; then bad "$what"; else good; fi
}
# refuses PATTERN ARG...: with an error that says so.
refuses() {
  local pattern=$1 out; shift
  if out=$(render "$@"); then bad "taken: $*"; return; fi
  if grep -Eq -- "$pattern" <<<"$out"; then good; else bad "$*: $out"; fi
}

shows "everything is in the release's namespace" 'namespace: somewhere'
hides "nothing is in another namespace" 'namespace: (kube-system|default|tarn-system)'
shows "definitions stay at uninstall" 'helm.sh/resource-policy: keep'
hides "definitions go with crds.keep=false" 'helm.sh/resource-policy: keep' --set crds.keep=false
shows "they are still there then" 'name: filesystems.tarn.dev' --set crds.keep=false
hides "crds.install=false leaves them out" 'CustomResourceDefinition' --set crds.install=false
shows "the driver's name is one value" 'name: efs.csi.aws.com' --set driverName=efs.csi.aws.com
hides "and nowhere else" 'efs.csi.tarn.dev' --set driverName=efs.csi.aws.com
hides "the controller reads no foreign Secrets" 'tarn-csi-file-system-id-reader'
shows "unless it may" 'tarn-csi-file-system-id-reader' \
  --set controller.fileSystemIdRefs.enabled=true
shows "the kubelet's folder" 'path: /k/kubelet' --set kubeletDir=/k/kubelet
shows "the image" 'image: r.example/t:v9' --set image.repository=r.example/t,image.tag=v9
shows "pull secrets" 'name: pull' --set 'imagePullSecrets[0].name=pull'

if render --set controller.fileSystemIdRefs.enabled=true | python3 tests/chart/rbac.py; then good
else bad "each rule of a role says why, and none is a wildcard"; fi

on=(--set tunnel.enabled=true)
shows "pods' tokens are asked for" 'tokenRequests: \[\{audience: tarn.dev' "${on[@]}"
shows "and renewed" 'requiresRepublish: true' "${on[@]}"
shows "pods are told of" 'podInfoOnMount: true' "${on[@]}"
shows "a tunnel on each node" 'name: tarn-tunnel$' "${on[@]}"
shows "which its successor takes over from" 'maxSurge: 1, maxUnavailable: 0' "${on[@]}"
shows "which the node plugin uses" '--tunnel=unix:///run/tarn-tunnel/tunnel.sock' "${on[@]}"
shows "with the authority" '--nfs-ca-file=/etc/tarn/nfs-ca/ca.crt' "${on[@]}"
hides "nothing of it without it" 'tarn-tunnel|tokenRequests|nfs-ca' --set tunnel.enabled=false
refuses 'enabled' --set tunnel.enabled=perhaps

class='storageClasses[0].name=tarn,storageClasses[0].parameters.provisioningMode=efs-ap'
id='storageClasses[0].parameters.fileSystemId=fs-0123456789abcdef0'
shows "a StorageClass" 'kind: StorageClass' --set "$class,$id"
shows "as the default one" 'is-default-class: "true"' \
  --set "$class,$id,storageClasses[0].default=true"
refuses 'fileSystemId' --set "$class"
refuses 'provisioningMode' --set "storageClasses[0].name=tarn,$id"
refuses 'reclaimPolicy' --set "$class,$id,storageClasses[0].reclaimPolicy=Keep"
refuses "'operatr' not allowed" --set operatr.replicas=2
refuses "'mount' not allowed" --set node.mount=fuse
refuses 'mounter' --set node.mounter=nfs
refuses 'kubeletDir' --set kubeletDir=var/lib/kubelet
refuses 'driverName' --set driverName=Not_A_Name
refuses 'logLevel' --set logLevel=loud
refuses 'replicas' --set operator.replicas=-1
refuses 'memory' --set operator.resources.limits.memory=lots
refuses 'image' --set sidecars.provisioner.image=
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
