# Sourced by tests/cluster/run.sh, as cases.sh: who may mount, read and write what, by which
# identity, and what of it can be seen on the network.
#
# One volume of a file system of its own, `secured`, in three namespaces. A claim belongs to one
# namespace, so each has a claim and a PersistentVolume of its own, of the same volumeHandle.
# shellcheck shell=bash
SPACES="sec-a sec-b sec-c"
SECRET_NAME=name-that-nobody-sees SECRET_TEXT=content-that-nobody-sees

policy() { # policy SA_THAT_WRITES SA_THAT_READS: as JSON
  cat <<JSON
{"Version": "2012-10-17", "Statement": [
  {"Sid": "Writers", "Effect": "Allow", "Principal": {"ServiceAccount": "$1"},
   "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]},
  {"Sid": "Readers", "Effect": "Allow", "Principal": {"ServiceAccount": "$2"},
   "Action": "elasticfilesystem:ClientMount"},
  {"Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "*",
   "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}
JSON
}
put_policy() { # the patch as JSON, so that the policy's own quotes stay
  kn patch filesystem secured --type merge -p "$(policy "$1" "$2" | python3 -c 'import json, sys
print(json.dumps({"spec": {"policy": sys.stdin.read()}}))')" >/dev/null
}
handle() {
  k get pv "$(kn get pvc secured -o 'jsonpath={.spec.volumeName}')" \
    -o 'jsonpath={.spec.csi.volumeHandle}'
}

# volume_in NAMESPACE NAME [ATTRIBUTE]: a PersistentVolume of HANDLE, or else of the secured one's,
# and its claim
volume_in() {
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1-$2, labels: {test: security}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: $1, name: $2}
  csi: {driver: efs.csi.tarn.dev, volumeHandle: "${HANDLE:-$(handle)}", volumeAttributes: {${3-}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $2, namespace: $1}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: $1-$2
  resources: {requests: {storage: 1Gi}}
YAML
}

# In a directory of its own each time: the last one's data stays where it was.
make_secured() {
  local node space; node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
  kn apply -f - >/dev/null <<YAML
apiVersion: tarn.dev/v1alpha1
kind: FileSystem
metadata: {name: secured}
spec:
  throughputMode: elastic
  storage: {hostPath: {path: /var/lib/tarn/secured-$RANDOM, nodeName: $node}}
  policy: |
$(policy 'sec-a/*' 'sec-b/*' | sed 's/^/    /')
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: tarn-secured}
provisioner: efs.csi.tarn.dev
parameters: {provisioningMode: efs-ap, fileSystemRef: $NS/secured, directoryPerms: "0777"}
YAML
  kn wait filesystem/secured --for=condition=Ready --timeout=120s >/dev/null ||
    { fail "the file system is not Ready"; return 1; }
  claim secured 1Gi tarn-secured | kn apply -f - >/dev/null
  wait_phase pvc/secured Bound 60 || { fail "the claim is not Bound"; return 1; }
  for space in $SPACES; do
    k create namespace "$space" --dry-run=client -o yaml | k apply -f - >/dev/null
    volume_in "$space" shared | k apply -f - >/dev/null
  done
}
remove_secured() {
  local space
  for space in $SPACES; do k delete namespace "$space" --wait --timeout=90s >/dev/null 2>&1; done
  k delete pv -l test=security --wait --timeout=60s >/dev/null 2>&1
  kn delete mounttarget secured-door --wait --timeout=60s >/dev/null 2>&1
  kn delete pvc secured --wait --timeout=60s >/dev/null 2>&1
  k delete storageclass tarn-secured >/dev/null 2>&1
  kn delete filesystem secured --wait --timeout=90s >/dev/null 2>&1
}
in_space() { local space=$1; shift; k -n "$space" "$@"; }
# may POD_NAMESPACE CMD...: inside the pod `user` there.
may() { local space=$1; shift; in_space "$space" exec user -- "$@"; }
event_of() { # event_of NAMESPACE POD TEXT
  in_space "$1" describe pod "$2" | grep -i -- "$3" >/dev/null
}

# Every packet between the nodes and to their pods, as they are, into files.
capture_start() {
  local n
  rm -f "$STATE"/capture.*
  for n in $(seq "$NODES"); do
    in_node "$n" python3 -c 'import socket, sys
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
tap.bind(("eth0", 0))
with open(sys.argv[1], "wb", 0) as out:
    while True:
        out.write(tap.recv(1 << 17))' "$STATE/capture.$n" & CAPTURES+=($!)
  done
  # It makes the file once it hears.
  for n in $(seq "$NODES"); do
    eventually 20 test -e "$STATE/capture.$n" || fail "node$n captures nothing"
  done
}
capture_stop() {
  sleep 1
  kill "${CAPTURES[@]}" 2>/dev/null; wait "${CAPTURES[@]}" 2>/dev/null
  CAPTURES=()
}
captured() { grep -c -a -- "$1" "$STATE"/capture.* | awk -F: '{n += $2} END {print n}'; }

case_three_namespaces_one_policy_and_nothing_to_see() {
  CAPTURES=()
  make_secured || return 1
  capture_start
  three_namespaces && policy_changes_at_once && plain_is_refused
  local status=$?
  capture_stop
  [ $status = 0 ] && nothing_was_seen
  status=$((status + $?))
  [ $status = 0 ] || k -n "$SYSTEM" logs -l app=tarn-tunnel --tail=20 --prefix
  remove_secured
  rm -f "$STATE"/capture.*
  return $status
}

three_namespaces() {
  local space
  nodes_know "$(fs_of "$(handle)")" || return 1
  # The server is on node1: what the pods do crosses the wire between the nodes.
  for space in $SPACES; do
    pod user shared 'sleep 1000' node2 | in_space "$space" apply -f - >/dev/null
  done
  for space in sec-a sec-b; do
    in_space "$space" wait pod/user --for=condition=Ready --timeout=90s >/dev/null ||
      { fail "the pod of $space does not run"; in_space "$space" describe pod user; return 1; }
  done
  may sec-a sh -c "echo $SECRET_TEXT >/data/$SECRET_NAME && sync" ||
    { fail "a cannot write"; return 1; }
  [ "$(may sec-b cat "/data/$SECRET_NAME")" = $SECRET_TEXT ] || { fail "b cannot read"; return 1; }
  [[ $(may sec-b sh -c 'echo no >/data/b' 2>&1) == *Read-only* ]] ||
    { fail "b may write, or is told something else"; return 1; }
  eventually 60 event_of sec-c user 'access denied' ||
    { fail "no event of c says why"; in_space sec-c describe pod user | tail; return 1; }
  in_space sec-c describe pod user | grep -m 1 -o 'access denied.*' | cut -c1-200 | sed 's/^/    /'
  in_space sec-c get pod user -o 'jsonpath={.status.phase}' | grep -q Pending ||
    fail "c runs"
}

policy_changes_at_once() {
  local before start; before=$(mounts)
  put_policy 'sec-b/*' 'sec-a/*'
  start=$(now)
  eventually 10 may sec-b sh -c 'echo yes >/data/b' || { fail "b may not write"; return 1; }
  eventually 10 is_read_only sec-a || { fail "a may still write"; return 1; }
  local took; took=$(since "$start")
  echo "    the policy was in force after $took s"
  less "$took" 5 || { fail "that is more than 5 s"; return 1; }
  [ "$(mounts)" = "$before" ] || fail "something was mounted anew"
}
is_read_only() { ! may "$1" sh -c 'echo no >/data/again'; }

# By a volume that says so, and by a pod that speaks NFS itself: an RPC record with a COMPOUND of
# PUTROOTFH and GETATTR of NFS 4.0, whose status is the last but one word of the answer.
plain_is_refused() {
  local address answer
  volume_in sec-a plain 'encryptInTransit: "false"' | k apply -f - >/dev/null
  pod plain plain 'sleep 1000' node2 | in_space sec-a apply -f - >/dev/null
  eventually 60 event_of sec-a plain 'denie[sd]' ||
    { fail "no event says that plain NFS is refused"; return 1; }
  address=$(kn get service secured -o 'jsonpath={.spec.clusterIP}')
  # By the policy alone: the network lets this pod in.
  kn apply -f - >/dev/null <<YAML
apiVersion: tarn.dev/v1alpha1
kind: MountTarget
metadata: {name: secured-door}
spec:
  fileSystemRef: {name: secured}
  ingress: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: sec-a}}}]
YAML
  eventually 30 says NodesAndRules get filesystem secured -o 'jsonpath={.status.conditions}' ||
    { fail "the mount target's rule is not in force"; return 1; }
  answer=$(may sec-a sh -c "printf '$(plain_call)' | nc -w 3 $address 2049 | od -An -v -tx1" |
    tr -d ' \n')
  # NFS4ERR_ACCESS is 13, as the status of the whole and of its first operation.
  [[ $answer == *0000000d*00000018*0000000d ]] || fail "plain NFS is answered by '$answer'"
}
plain_call() {
  python3 -c 'import struct
words = [7, 0, 2, 100003, 4, 1,        # a call of COMPOUND
         1, 24, 0, 0, 0, 0, 1, 0, 0, 0,  # AUTH_SYS: stamp, no name, uid, gid, one group
         0, 0, 2, 24, 9, 1, 2]         # no tag, minor version 0, two operations
body = struct.pack(">%dI" % len(words), *words)
print("".join("\\x%02x" % byte for byte in struct.pack(">I", 1 << 31 | len(body)) + body), end="")'
}

# The capture sees what is in the clear, and nothing of ours is.
nothing_was_seen() {
  local bytes; bytes=$(cat "$STATE"/capture.* | wc -c)
  [ "$bytes" -gt 10000 ] || { fail "the capture holds $bytes bytes only"; return 1; }
  echo "    $bytes bytes were captured between the nodes"
  [ "$(captured "$SECRET_TEXT")" = 0 ] || { fail "the content was seen"; return 1; }
  [ "$(captured "$SECRET_NAME")" = 0 ] || { fail "the name was seen"; return 1; }
  CAPTURES=()
  capture_start
  in_node 2 python3 -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), (sys.argv[2], 9))' \
    "$SECRET_TEXT" "$(node_ip 1)"
  capture_stop
  [ "$(captured "$SECRET_TEXT")" -gt 0 ] || fail "this case does not see what is in the clear"
}

case_tunnel_killed_and_upgraded_while_pods_write() {
  claim tunnel | kn apply -f - >/dev/null
  pod tunnel tunnel "$WRITER" node2 | kn apply -f - >/dev/null
  kn wait pod/tunnel --for=condition=Ready --timeout=60s >/dev/null || return 1
  sleep 1
  kill_program 'tarn-tunnel --state-dir' || { fail "no tunnel to kill"; return 1; }
  sleep 3
  eventually 30 kill_program 'tarn-tunnel --state-dir' || { fail "no tunnel to kill"; return 1; }
  # Kubernetes waits before it starts a killed one again.
  k -n "$SYSTEM" rollout status daemonset/tarn-tunnel --timeout=90s >/dev/null
  sleep 2
  k -n "$SYSTEM" rollout restart daemonset/tarn-tunnel >/dev/null
  k -n "$SYSTEM" rollout status daemonset/tarn-tunnel --timeout=120s >/dev/null ||
    { fail "the tunnel is not upgraded"; return 1; }
  k -n "$SYSTEM" logs -l app=tarn-tunnel --tail=-1 | grep 'connections over' | sed 's/^/    /'
  check_writer tunnel tunnel
}

# What a call says of groups counts for nothing then: the list has more than it has room for.
case_groups_beyond_16_are_the_servers_word() {
  local node gids; node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
  gids=$(seq -s, 5001 5020)
  kn create configmap groups --from-literal "user-groups.json={\"unlisted\": \"none\",
    \"users\": [{\"uid\": 3000, \"gid\": 3000, \"gids\": [$gids]}]}" >/dev/null
  kn apply -f - >/dev/null <<YAML
apiVersion: tarn.dev/v1alpha1
kind: FileSystem
metadata: {name: grouped}
spec:
  storage: {hostPath: {path: /var/lib/tarn/grouped-$RANDOM, nodeName: $node}}
  userGroupsConfigMapRef: {name: groups}
YAML
  groups_decide
  local status=$?
  clean
  k delete pv "$NS-grouped" --wait --timeout=60s >/dev/null 2>&1
  kn delete filesystem grouped --wait --timeout=90s >/dev/null 2>&1
  kn delete configmap groups >/dev/null
  return $status
}
as_user() { # as_user UID GROUPS: a pod on stdin runs so
  local who="{runAsUser: $1, runAsGroup: $1, supplementalGroups: [$2]}"
  sed "s/^spec:/spec:\n  securityContext: $who/"
}
groups_decide() {
  kn wait filesystem/grouped --for=condition=Ready --timeout=120s >/dev/null ||
    { fail "the file system is not Ready"; return 1; }
  local id; id=$(kn get filesystem grouped -o 'jsonpath={.status.fileSystemId}')
  nodes_know "$id" || return 1
  HANDLE=$id volume_in "$NS" grouped | kn apply -f - >/dev/null
  kn label pvc grouped test=cluster >/dev/null
  pod maker grouped 'mkdir /data/g && echo for the group >/data/g/file && chgrp -R 5020 /data/g &&
    chmod 2770 /data/g && chmod 660 /data/g/file' node2 | kn apply -f - >/dev/null
  wait_phase pod/maker Succeeded 60 || { fail "root cannot make the directory"; return 1; }
  pod member grouped 'cat /data/g/file && echo more >>/data/g/file' node2 | as_user 3000 '' |
    kn apply -f - >/dev/null
  pod claimant grouped '! cat /data/g/file' node1 | as_user 3001 5020 | kn apply -f - >/dev/null
  wait_phase pod/member Succeeded 60 ||
    { fail "the last of 20 groups does not count: $(kn logs member)"; return 1; }
  wait_phase pod/claimant Succeeded 60 || fail "a group that only the call says counts"
}
