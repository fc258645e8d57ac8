#!/usr/bin/env bash
# Ends everything that `cluster.sh up` started, by pid, and what it mounted and made; leaves nothing
# behind.
set -uo pipefail
. "$(dirname "$0")/common.sh"
[ -d "$STATE" ] || exit 0

# stop NAME...: TERM, and KILL after 5 s.
stop() {
  local name pid deadline=$((SECONDS + 5)) pids=()
  for name; do
    pid=$(cat "$PIDS/$name" 2>/dev/null) || continue
    rm -f "$PIDS/$name"
    # A pid may have gone to somebody else since: ours have the state folder or a certificate of it
    # in their arguments.
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$STATE" || continue
    kill "$pid" && pids+=("$pid")
  done
  for pid in "${pids[@]}"; do
    while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
    kill -9 "$pid" 2>/dev/null
  done
}
# Names of daemons, one a word: none has a space.
names() { find "$PIDS" -type f -printf '%f\n' 2>/dev/null | grep -E "$1"; }
kill_all() { local pid; while read -r pid; do kill -9 "$pid" 2>/dev/null; done; }
kill_cgroups() {
  local group
  for group in /sys/fs/cgroup/*/"$NAME"-node[0-9]; do
    [ -d "$group" ] || continue
    find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | kill_all
  done
  sleep 0.3
  for group in /sys/fs/cgroup/*/"$NAME"-node[0-9]; do
    [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
}

mapfile -t found < <(names 'kubelet|proxy'); stop "${found[@]}"
mapfile -t found < <(names containerd); stop "${found[@]}"
# Containers outlive containerd in their shims.
for n in $(seq 9); do
  pgrep -f "containerd-shim-runc-v2 .*$STATE/node$n/" | kill_all
done
kill_cgroups
stop scheduler controller-manager apiserver
stop etcd
# FUSE clients of volumes outlive the CSI plugin outside its cgroup, but in their node's network.
for netns in $(ip netns list | awk '{print $1}' | grep -E "^$NAME(-node[0-9])?\$"); do
  ip netns pids "$netns" | kill_all
  ip netns del "$netns"
done
mapfile -t found < <(names '^node[0-9]$'); stop "${found[@]}"
kill_cgroups
rm -rf --one-file-system "$STATE"
# Where the CSI plugin puts its FUSE processes.
for group in /sys/fs/cgroup/*/tarn-mounts; do [ ! -d "$group" ] || rmdir "$group" 2>/dev/null; done
# Mount points of the nodes' own folders, if nobody else's files are in them.
rmdir "$(dirname "$STATE")" /var/lib/kubelet /var/lib/tarn /run/containerd /run/nri /var/lib/cni \
  /usr/libexec/kubernetes 2>/dev/null
exit 0
