#!/usr/bin/env bash
# Ends everything that `cluster.sh up` started, by pid, and what it mounted and made; leaves nothing behind.
set -uo pipefail
. "$(dirname "$0")/common.sh"
[ -d "$STATE" ] || exit 0

# stop NAME...: TERM, and KILL after 5 s.
stop() {
  local name pid left deadline=$((SECONDS + 5)) pids=()
  for name; do
    pid=$(cat "$PIDS/$name" 2>/dev/null) || continue
    rm -f "$PIDS/$name"
    # A pid may have gone to somebody else since: ours have the state folder or a certificate of it in their arguments.
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$STATE" && kill "$pid" && pids+=("$pid")
  done
  for pid in "${pids[@]}"; do
    while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
    kill -9 "$pid" 2>/dev/null
  done
  left=${pids[*]}; [ -z "$left" ] || wait 2>/dev/null
}
names() { (cd "$PIDS" 2>/dev/null && ls) | grep -E "$1"; }
kill_cgroups() {
  local group pid
  for group in /sys/fs/cgroup/*/"$NAME"-node[0-9]; do
    [ -d "$group" ] || continue
    find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
  done
  sleep 0.3
  for group in /sys/fs/cgroup/*/"$NAME"-node[0-9]; do
    [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
}

stop $(names 'kubelet|proxy')
stop $(names containerd)
# Containers outlive containerd in their shims.
for n in $(seq 9); do
  pgrep -f "containerd-shim-runc-v2 .*$STATE/node$n/" | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
done
kill_cgroups
stop scheduler controller-manager apiserver
stop etcd
# FUSE clients of volumes outlive the CSI plugin outside its cgroup, but in their node's network.
for netns in $(ip netns list | awk '{print $1}' | grep -E "^$NAME(-node[0-9])?\$"); do
  ip netns pids "$netns" | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
  ip netns del "$netns"
done
stop $(names '^node[0-9]$')
kill_cgroups
rm -rf --one-file-system "$STATE"
rmdir "$(dirname "$STATE")" /var/lib/kubelet /run/containerd /run/nri /var/lib/cni /usr/libexec/kubernetes 2>/dev/null
exit 0
