#!/usr/bin/env bash
# node.sh N: starts node N: a network namespace of its own with containerd, kubelet and kube-proxy.
set -euo pipefail
. "$(dirname "$0")/common.sh"
n=$1 node=node$1 netns=$NAME-node$1 address=$(node_ip "$1")
dir=$STATE/$node socket=$STATE/$node/containerd.sock
mkdir -p "$dir"/{kubelet,containerd,cni/net.d,state,tarn}

# The node's mounts end with its last process. Paths that kubelet, containerd and CNI have built in
# lead to the node's own folders here, so that the machine's stay as they are and both nodes have
# kubelet at the usual place.
mounts() {
  mkdir -p /var/lib/kubelet /var/lib/tarn
  unshare --mount --propagation slave bash -c 'exec -a "node of $0" sleep infinity' "$dir" \
    </dev/null >/dev/null 2>&1 &
  echo $! >"$PIDS/$node"
  # Its name changes only after it has left the machine's mount namespace.
  wait_for "$node mount namespace" 10 grep -qa '^node of' "/proc/$!/cmdline"
  in_node "$n" bash -euc '
    mount --bind "$1/kubelet" /var/lib/kubelet
    mount --make-rshared /var/lib/kubelet
    mount --bind "$1/tarn" /var/lib/tarn   # where the demo keeps its file system
    mount -t tmpfs tmpfs /var/log
    mount -t tmpfs tmpfs /run/lock
    for path in /run/containerd /run/nri /run/tarn /run/tarn-mount /run/tarn-tunnel \
      /var/lib/cni /usr/libexec/kubernetes; do
      mkdir -p "$path"; mount -t tmpfs -o mode=0700 tmpfs "$path"
    done' node "$dir"
}

in_netns() { nsenter --net="/run/netns/$netns" -- "$@"; }

network() {
  ip netns add "$netns"
  in_netns ip link set lo up
  in_control ip link add "$node" type veth peer name eth0 netns "$netns"
  in_control ip link set "$node" master nodes up
  in_netns ip addr add "$address/24" dev eth0
  in_netns ip link set eth0 up
  in_netns ip route add default via "$GATEWAY"
  in_netns sysctl -qw net.ipv4.ip_forward=1
  in_control ip route add "$(pod_cidr "$n")" via "$address"
  for other in $(seq "$NODES"); do
    [ "$other" = "$n" ] || in_netns ip route add "$(pod_cidr "$other")" via "$(node_ip "$other")"
  done
  cat >"$dir/cni/net.d/10-pods.conflist" <<CNI
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": "$dir/cni/ipam", "routes": [{"dst": "0.0.0.0/0"}],
           "ranges": [[{"subnet": "$(pod_cidr "$n")"}]]}}]}
CNI
}

containerd_config() {
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE a lower oom_score_adj cannot be set.
  cat >"$dir/containerd.toml" <<TOML
version = 3
root = '$dir/containerd'
state = '$dir/state'
[grpc]
  address = '$socket'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'localhost/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '$dir/cni/net.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = '/usr/sbin/runc'
    Root = '$dir/runc'
    SystemdCgroup = false
[plugins.'io.containerd.internal.v1.opt']
  path = '$dir/opt'
TOML
}

kubelet_config() {
  echo "nameserver 127.0.0.1" >"$dir/resolv.conf"   # pods reach each other by address: no DNS here
  cat >"$dir/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$netns
failSwapOn: false
containerRuntimeEndpoint: unix://$socket
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $PKI/$node.crt
tlsPrivateKeyFile: $PKI/$node.key
resolvConf: $dir/resolv.conf
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
syncFrequency: 10s
maxOpenFiles: 20000
oomScoreAdj: 0
healthzBindAddress: 127.0.0.1
YAML
}

cgroups() {
  local controller file sets=/sys/fs/cgroup/cpuset
  for controller in /sys/fs/cgroup/*/; do mkdir -p "$controller$netns"; done
  for file in cpuset.cpus cpuset.mems; do   # a cpuset without these takes no process
    [ ! -e "$sets/$file" ] || cat "$sets/$file" >"$sets/$netns/$file"
  done
}

node_is_ready() {
  in_control kubectl wait "node/$node" --for=condition=Ready --timeout=1s
}

network
mounts
containerd_config
kubelet_config
cgroups
start "$node-containerd" "$n" containerd -c "$dir/containerd.toml"
wait_for "$node containerd" 60 ctr -a "$socket" version
"$(dirname "$0")/load.sh" --node "$n" "$BIN/images/pause.tar"
start "$node-kubelet" "$n" kubelet --config "$dir/kubelet.yaml" --kubeconfig "$PKI/$node.conf" \
  --root-dir /var/lib/kubelet --cert-dir "$dir" --hostname-override "$node" \
  --node-ip "$address" --v 2
start "$node-proxy" "$n" kube-proxy --kubeconfig "$PKI/proxy.conf" --proxy-mode nftables \
  --cluster-cidr "$POD_CIDR" --hostname-override "$node" --healthz-bind-address 127.0.0.1:10256 \
  --metrics-bind-address 127.0.0.1:10249 --conntrack-max-per-core 0 \
  --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
wait_for "$node to be Ready" 120 node_is_ready
