# Sourced by tests/cluster/run.sh: what its cases share.
# shellcheck shell=bash
NS=tarn-demo          # where hack/demo.sh puts its file system; the cases use it too
SYSTEM=tarn-system

k() { in_control kubectl "$@"; }
kn() { k -n "$NS" "$@"; }
now() { echo "$EPOCHREALTIME"; }
since() { echo "$EPOCHREALTIME - $1" | bc; }
less() { [ "$(echo "$1 < $2" | bc)" = 1 ]; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
# A case fails by returning with a sentence, which run.sh repeats behind the case's name.
fail() { WHY=$*; echo "    $*" >&2; return 1; }
# eventually SECONDS CMD...: until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || return 1; sleep 0.2; done
}

# says TEXT KUBECTL_ARGS...: does kubectl's answer hold the text?
says() { local text=$1; shift; kn "$@" | grep -i -- "$text" >/dev/null; }
is_gone() { ! kn get "$1"; }
# wait_phase "OBJECT..." PHASE SECONDS
# shellcheck disable=SC2086  # "pvc -l label" is several words
wait_phase() { kn wait $1 --for=jsonpath='{.status.phase}'="$2" --timeout="$3s" >/dev/null; }
# ready "OBJECT..." SECONDS
# shellcheck disable=SC2086  # "pod -l label" is several words
ready() {
  kn wait $1 --for=condition=Ready --timeout="$2s" >/dev/null ||
    fail "not ready: $1: $(kn get events --sort-by=.lastTimestamp | tail -n 5)"
}
count_is() { [ "$("$1")" = "$2" ]; }   # count_is FUNCTION NUMBER
at_most() { [ "$("$1")" -le "$2" ]; }

server_pod() { echo shared-0; }   # of the demo's file system; cases have others beside it
tarnctl() { kn exec "$(server_pod)" -c server -- tarnctl "$@"; }
access_points() { tarnctl ap list --output json | grep -o '"fsap-[0-9a-f]*"' | sort -u | wc -l; }
# Mounts of our volumes on both nodes (staged and published).
mounts_list() {
  local n
  for n in $(seq "$NODES"); do in_node "$n" cat /proc/self/mountinfo; done |
    grep 'kubernetes.io[~/]csi' | cut -d' ' -f5
}
mounts() { mounts_list | wc -l; }
volumes() { k get pv --no-headers 2>/dev/null | wc -l; }

claim() { # claim NAME [SIZE [CLASS]]: a claim as YAML
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1, labels: {test: cluster}}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ${3:-tarn}
  resources: {requests: {storage: ${2:-1Gi}}}
YAML
}
pod() { # pod NAME CLAIM SCRIPT [NODE]: a pod that runs the script with the claim at /data
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {test: cluster}}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  ${4:+nodeName: $4}
  containers:
  - name: main
    image: docker.io/library/busybox:1.35
    imagePullPolicy: IfNotPresent
    command: [sh, -c, $(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$3")]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: $2}}]
YAML
}
# nodes_know FILE_SYSTEM: kubelet takes its time to give the node plugins a new registry.
nodes_know() {
  local n
  for n in $(seq "$NODES"); do
    eventually 180 in_node "$n" test -s "/run/tarn/registry/$1.json" ||
      { fail "the plugin of node$n does not know $1"; return 1; }
  done
}
clean() {
  kn delete pod -l test=cluster --wait --timeout=60s >/dev/null 2>&1
  kn delete pvc -l test=cluster --wait --timeout=60s >/dev/null 2>&1
}
# Kills, without a word, a process of one of this cluster's containers.
kill_program() { # kill_program PATTERN
  local pid killed=1
  for pid in $(pgrep -f "$1"); do
    grep -q "/$NAME-node" "/proc/$pid/cgroup" 2>/dev/null && kill -9 "$pid" && killed=0
  done
  return $killed
}

# A pod that writes files one by one, each fsynced, and says so: what it said must be true whatever
# happens.
WRITER='i=0; while [ ! -e /data/stop ]; do i=$((i + 1));
  if echo "content $i" | dd of=/data/f$i conv=fsync 2>/tmp/err; then echo "acked $i";
  else echo "ERROR $i $(cat /tmp/err)"; fi;
done; echo finished'
# The writer, its pod's first process, may see the file and end, and with it touch, before touch has
# answered. So its last word counts as much as that answer.
writer_told() { kn exec "$1" -- touch /data/stop || says finished logs "$1"; }
# check_writer POD CLAIM: stops the writer and compares what it said with what a pod on the other
# node reads.
check_writer() {
  local acked missing
  eventually 60 writer_told "$1" ||
    { fail "cannot reach the writer: $(kn exec "$1" -- ls /data/stop 2>&1)"; return 1; }
  eventually 90 says finished logs $1 ||
    { fail "the writer does not go on: $(kn logs "$1" | tail -n 1)"; return 1; }
  kn logs "$1" | grep ERROR | head -n 3 | grep . && { fail "the writer saw an error"; return 1; }
  acked=$(kn logs "$1" | grep -c ^acked)
  [ "$acked" -gt 5 ] || { fail "the writer wrote only $acked files"; return 1; }
  local read="i=0; while [ \$i -lt $acked ]; do i=\$((i + 1));
    [ \"\$(cat /data/f\$i)\" = \"content \$i\" ] || echo \"missing \$i\"; done; echo checked"
  pod "$1-reader" "$2" "$read" | kn apply -f - >/dev/null
  eventually $((120 + acked / 50)) says checked logs $1-reader ||
    { fail "the reader does not end"; return 1; }
  missing=$(kn logs "$1-reader" | grep -c missing)
  [ "$missing" = 0 ] || { fail "$missing of $acked acknowledged files are not there"; return 1; }
  echo "    $acked files were acknowledged, and all are there"
}
