# Sourced by tests/cluster/run.sh: every function case_* is one case, run in this order. The demo
# has run before.
# shellcheck shell=bash

case_claim_is_bound_in_2_s_and_pod_runs_in_5_s() {
  local start bound=() running=() i
  for i in 1 2 3; do
    start=$(now)
    claim "fast$i" | kn apply -f - >/dev/null
    wait_phase "pvc/fast$i" Bound 30 || return 1
    bound+=("$(since "$start")")
    start=$(now)
    pod "fast$i" "fast$i" 'sleep 1000' | kn apply -f - >/dev/null
    wait_phase "pod/fast$i" Running 60 || return 1
    running+=("$(since "$start")")
  done
  echo "    bound after ${bound[*]} s, running after ${running[*]} s"
  less "$(printf '%s\n' "${bound[@]}" | median)" 2 || fail "the claim took 2 s or more"
  less "$(printf '%s\n' "${running[@]}" | median)" 5 || fail "the pod took 5 s or more"
}

case_two_nodes_see_each_others_changes() {
  claim both | kn apply -f - >/dev/null
  local put='echo from-ME >/data/new; mv /data/new /data/ME'
  local get='until [ -e /data/PEER ]; do sleep 0.2; done; cat /data/PEER; sleep 1000'
  { pod both1 both "${put//ME/1}; ${get//PEER/2}" node1
    pod both2 both "${get//PEER/1}" node2
    pod both3 both "until [ -e /data/1 ]; do sleep 0.2; done; ${put//ME/2}; sleep 1000" node2
  } | kn apply -f - >/dev/null
  eventually 60 says from-2 logs both1 || { fail "node1 does not see node2's file"; return 1; }
  eventually 60 says from-1 logs both2 || fail "node2 does not see node1's file"
}

case_df_shows_the_claim_and_quota_holds_and_expands() {
  claim sized 64Mi | kn apply -f - >/dev/null
  pod sized sized 'sleep 1000' | kn apply -f - >/dev/null
  ready "pod/sized" 60 || return 1
  local size; size=$(kn exec sized -- df -mP /data | awk 'END {print $2}')
  [ "$size" = 64 ] || { fail "df shows $size MiB, not 64"; return 1; }
  [[ $(write_100 2>&1) == *[Qq]"uota exceeded"* ]] || { fail "100 MiB fit into 64 MiB"; return 1; }
  kn exec sized -- rm /data/big
  kn patch pvc sized -p '{"spec": {"resources": {"requests": {"storage": "256Mi"}}}}' >/dev/null
  eventually 60 says 256Mi get pvc sized -o 'jsonpath={.status.capacity.storage}' ||
    { fail "the claim does not grow"; return 1; }
  write_100 2>/dev/null || { fail "100 MiB do not fit into 256 MiB"; return 1; }
  kn exec sized -- df -mP /data | awk 'END {exit $2 != 256}' || fail "df does not show the new size"
}
write_100() { kn exec sized -- dd if=/dev/zero of=/data/big bs=1M count=100 conv=fsync; }

case_fifty_claims_at_once_leave_nothing() {
  local before_ap before_mounts before_pv start i
  clean
  # Volumes go after their claims; but for the demo's, they are to be gone before it is counted.
  eventually 60 count_is volumes 1 && eventually 30 same_number access_points volumes ||
    { fail "earlier volumes are left: $(volumes), with $(access_points) access points"; return 1; }
  before_ap=$(access_points) before_mounts=$(mounts) before_pv=$(volumes) start=$(now)
  for i in $(seq 50); do claim "many$i"; done | kn apply -f - >/dev/null
  wait_phase "pvc -l test=cluster" Bound 120 || { fail "not all are bound"; return 1; }
  echo "    50 claims bound after $(since "$start") s"
  [ "$(access_points)" = $((before_ap + 50)) ] ||
    { fail "$(access_points) access points, not $((before_ap + 50))"; return 1; }
  kn delete pvc -l test=cluster --wait --timeout=60s >/dev/null
  eventually 90 count_is volumes "$before_pv" || { fail "volumes are left"; return 1; }
  eventually 30 count_is access_points "$before_ap" ||
    { fail "access points are left: $(access_points)"; return 1; }
  eventually 30 at_most mounts "$before_mounts" || fail "mounts are left: $(mounts_list)"
}

case_pods_leave_no_mount() {
  local before; clean; before=$(mounts)
  claim gone | kn apply -f - >/dev/null
  for n in 1 2; do pod "gone$n" gone 'sleep 1000' "node$n" | kn apply -f - >/dev/null; done
  ready "pod -l test=cluster" 60 || return 1
  [ "$(mounts)" -gt "$before" ] || { fail "this case does not see mounts"; return 1; }
  clean
  eventually 60 at_most mounts "$before" || fail "mounts are left: $(mounts_list)"
}

case_wrong_parameters_are_told() {
  local id; id=$(kn get filesystem shared -o 'jsonpath={.status.fileSystemId}')
  k apply -f - >/dev/null <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: tarn-bad}
provisioner: efs.csi.tarn.dev
parameters: {provisioningMode: efs-ap, fileSystemId: $id, directoryPrems: "0700"}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: tarn-wrong}
provisioner: efs.csi.tarn.dev
parameters: {provisioningMode: efs-ap, fileSystemId: fs-00000000000000bad, directoryPerms: "0700"}
YAML
  claim bad 1Gi tarn-bad | kn apply -f - >/dev/null
  claim wrong 1Gi tarn-wrong | kn apply -f - >/dev/null
  eventually 30 says directoryPrems describe pvc bad ||
    { fail "no event names the bad parameter"; return 1; }
  eventually 30 says fs-00000000000000bad describe pvc wrong ||
    { fail "no event names the wrong file system"; return 1; }
  k delete storageclass tarn-bad tarn-wrong >/dev/null
}

case_bad_resources_are_refused() {
  tests/crds/run.sh | sed 's/^/    /' ||
    fail "the API server takes what it must not, or refuses what is right"
}

case_chart_renders_and_refuses() { tests/chart/run.sh | sed 's/^/    /'; }

case_manifests_follow_from_the_chart() {
  hack/manifests.sh --check || fail "run hack/manifests.sh"
}

case_server_speaks_tls_with_the_operators_certificate() {
  local id address ca; ca=$(mktemp)
  id=$(kn get filesystem shared -o 'jsonpath={.status.fileSystemId}')
  address=$(kn get filesystem shared -o 'jsonpath={.status.endpoint}')
  k -n "$SYSTEM" get configmap tarn-nfs-ca -o 'jsonpath={.data.ca\.crt}' >"$ca"
  local n
  for n in $(seq "$NODES"); do
    in_node "$n" openssl s_client -connect "$address:2049" -servername "$id.efs.tarn" \
      -verify_hostname "$id.efs.tarn" -verify_return_error -CAfile "$ca" </dev/null 2>&1 |
      grep 'Verification: OK' >/dev/null ||
      { fail "node$n does not trust the server's certificate"; return 1; }
  done
  rm -f "$ca"
  says '"kid"' get configmap shared-token-issuers -o 'jsonpath={.data.issuers\.json}' ||
    fail "the server has no keys of tokens"
}

answer() { kn logs caller --tail=1 | tr -d ' \n'; }
answers() { [ "$(answer)" = "$1" ]; }
case_nfs_is_closed_to_pods_that_no_rule_names() {
  local address; address=$(kn get filesystem shared -o 'jsonpath={.status.endpoint}')
  # A call of NFS 4's NULL; of the answer the word that says accepted or denied.
  local call='\200\0\0\050\0\0\0\1\0\0\0\0\0\0\0\2\0\1\206\243\0\0\0\4\0\0\0\0'
  call+='\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
  cat <<YAML | kn apply -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {test: cluster, may: call}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: docker.io/library/busybox:1.35
    imagePullPolicy: IfNotPresent
    command:
    - sh
    - -c
    - >-
      while :; do printf '$call' | nc -w 2 $address 2049 | od -An -tx1 -j12 -N4; sleep 0.5; done
YAML
  ready pod/caller 60 || return 1
  eventually 20 answers 00000001 ||
    { fail "a pod that no rule names is let in: '$(answer)'"; return 1; }
  says OnlyNodes get filesystem shared -o 'jsonpath={.status.conditions}' ||
    { fail "no condition says that only nodes may connect"; return 1; }
  door '{podSelector: {matchLabels: {may: call}}}'
  eventually 30 answers 00000000 ||
    { fail "a pod that is named is not let in: '$(answer)'"; return 1; }
  kn get networkpolicy shared -o json | grep -q '"may": "call"' ||
    { fail "the policy lacks the pod"; return 1; }
  volumes_mount_on_both_nodes || return 1
  door '{cidr: 0.0.0.0/0}'
  kn label pod caller may- >/dev/null
  eventually 30 says 0.0.0.0/0 get networkpolicy shared -o yaml ||
    { fail "the policy does not open"; return 1; }
  eventually 30 answers 00000000 || { fail "the open file system refuses a pod"; return 1; }
  kn delete mounttarget door --wait >/dev/null
  eventually 30 answers 00000001 || { fail "it is not closed again: '$(answer)'"; return 1; }
  volumes_mount_on_both_nodes
}
volumes_mount_on_both_nodes() {
  local n status=0
  claim closed | kn apply -f - >/dev/null
  for n in 1 2; do
    pod "closed$n" closed "echo $n >/data/$n && sleep 1000" "node$n" | kn apply -f - >/dev/null
  done
  for n in 1 2; do
    if ready "pod/closed$n" 60; then
      eventually 10 kn exec "closed$n" -- test -e "/data/$n" || status=1
    else
      status=1
    fi
  done
  kn delete pod closed1 closed2 --wait --timeout=60s >/dev/null
  [ $status = 0 ] || fail "a volume does not mount on both nodes"
}
door() { # door RULES
  kn apply -f - >/dev/null <<YAML
apiVersion: tarn.dev/v1alpha1
kind: MountTarget
metadata: {name: door, labels: {test: cluster}}
spec: {fileSystemRef: {name: shared}, ingress: [$1]}
YAML
}

case_servers_pass_the_restricted_level() {
  local ns=tarn-restricted
  k create namespace $ns >/dev/null
  k label namespace $ns pod-security.kubernetes.io/enforce=restricted >/dev/null
  k -n $ns apply -f - >/dev/null <<YAML
apiVersion: tarn.dev/v1alpha1
kind: FileSystem
metadata: {name: strict}
spec: {storage: {size: 1Gi, storageClassName: none}}
YAML
  # Admitted is enough: there is no class that would give it a volume.
  eventually 60 k -n $ns get pod strict-0 || fail "$(k -n $ns get events | tail -n 3)"
  k -n $ns delete filesystem strict --wait --timeout=60s >/dev/null || fail "it does not go"
  k delete namespace $ns --wait=false >/dev/null
}

case_operator_killed() {
  k -n "$SYSTEM" delete pod -l app=tarn-operator --grace-period=0 --force >/dev/null 2>&1
  kn delete service shared >/dev/null
  eventually 60 kn get service shared || fail "the new operator does not put the service back"
}

case_csi_controller_killed_while_it_provisions() {
  local i; clean
  for i in $(seq 20); do claim "killed$i"; done | kn apply -f - >/dev/null
  for i in 1 2 3; do sleep 0.3; kill_program 'tarn-csi controller'; done
  wait_phase "pvc -l test=cluster" Bound 180 || { fail "not all are bound"; return 1; }
  eventually 30 same_number access_points volumes ||
    { fail "$(access_points) access points for $(volumes) volumes"; return 1; }
  clean
}

same_number() { [ "$("$1")" = "$("$2")" ]; }

case_node_plugin_killed_while_pods_write() {
  claim plugin | kn apply -f - >/dev/null
  pod plugin plugin "$WRITER" node1 | kn apply -f - >/dev/null
  ready "pod/plugin" 60 || return 1
  local i
  for i in 1 2; do sleep 1; kill_program 'tarn-csi node'; done
  k -n "$SYSTEM" delete pod -l app=tarn-csi-node --wait=false >/dev/null
  sleep 2
  k -n "$SYSTEM" rollout status daemonset/tarn-csi-node --timeout=60s >/dev/null ||
    { fail "the plugin does not come back"; return 1; }
  check_writer plugin plugin
}

case_server_killed_while_pods_write() {
  claim server | kn apply -f - >/dev/null
  pod server server "$WRITER" node2 | kn apply -f - >/dev/null
  ready "pod/server" 60 || return 1
  local i
  for i in 1 2 3; do
    sleep $((RANDOM % 2 + 1))
    # Kubernetes waits longer from one restart of a container to the next.
    eventually 90 kill_program 'tarn-server.*--file-system-id' ||
      { fail "no server to kill"; return 1; }
  done
  sleep 1
  eventually 90 kn wait "pod/$(server_pod)" --for=condition=Ready --timeout=1s
  sleep 2
  check_writer server server || return 1
  tarnctl fsck || fail "fsck finds problems"
}

case_file_system_in_use_is_not_deleted() {
  kn delete filesystem shared --wait=false >/dev/null
  eventually 30 says use get filesystem shared -o 'jsonpath={.status.conditions}' ||
    { fail "no condition says that it is in use"; return 1; }
  kn describe filesystem shared | sed -n '/Conditions:/,/^Events/p'
  kn get statefulset -l tarn.dev/file-system-id -o name | grep -q . || fail "the server is gone"
}

case_everything_goes_when_asked() {
  clean
  kn delete deployment web --wait >/dev/null; kn delete pvc uploads --wait --timeout=60s >/dev/null
  eventually 90 is_gone filesystem/shared ||
    { kn describe filesystem shared; fail "no longer in use, it is not deleted"; return 1; }
  eventually 30 count_is mounts 0 || fail "mounts are left: $(mounts_list)"
}
