#!/usr/bin/env bash
# From nothing to two web pods on two nodes that share one ReadWriteMany volume of Tarn's.
#
#   demo.sh                    on this machine: install, build, start a cluster, run the demo; the
#                              cluster stays up
#   demo.sh --down             end that cluster and remove all that it made
#   demo.sh --context NAME [--load 'CMD {}'] [--image NAME:TAG]
#                              on a cluster that you have. Its nodes need the image: --load runs CMD
#                              with {} replaced by the image's tar (such as 'kind load image-archive
#                              {}' or 'minikube image load {}'); --image names one that you have
#                              pushed. `kubectl` and `helm` must be in PATH.
#   demo.sh --namespace NS     where the demo's objects go (default: tarn-demo)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
user_kubeconfig=${KUBECONFIG-}
. hack/cluster/common.sh
context='' load='' image='' ns=tarn-demo system=tarn-system
while [ $# -gt 0 ]; do
  case $1 in
    --down) exec hack/cluster.sh down ;;
    --context) context=$2; shift 2 ;;
    --load) load=$2; shift 2 ;;
    --image) image=$2; shift 2 ;;
    --namespace) ns=$2; shift 2 ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

begin=$EPOCHREALTIME
seconds_since() { echo "$EPOCHREALTIME - $1" | bc; }
say() { printf '\n\033[1m[%6.1f s] %s\033[0m\n' "$(seconds_since "$begin")" "$*"; }
fail() { say "FAILED: $*"; exit 1; }
if [ -n "$context" ]; then
  KUBECONFIG=$user_kubeconfig
  [ -n "$KUBECONFIG" ] || unset KUBECONFIG
  k() { kubectl --context "$context" "$@"; }
  h() { helm --kube-context "$context" "$@"; }
  inside() { "$@"; }
else
  k() { in_control kubectl "$@"; }
  h() { in_control helm "$@"; }
  inside() { in_control "$@"; }
fi
show() { printf '$ kubectl %s\n' "$*"; k "$@"; }
# until WHAT SECONDS CMD...: prints how long it took.
until_ok() {
  local what=$1 limit=$2 start=$EPOCHREALTIME; shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$(echo "$(seconds_since "$start") < $limit" | bc)" = 1 ] || return 1
    sleep 0.1
  done
  printf '%s after %.1f s\n' "$what" "$(seconds_since "$start")"
}
phase_is() { [ "$(k -n "$ns" get "$1" -o "jsonpath={$2}")" = "$3" ]; }
diagnose() {
  k get pods -A -o wide || true
  k -n "$ns" get events --sort-by=.lastTimestamp | tail -n 20 || true
  k -n "$ns" get filesystem,pvc -o yaml | tail -n 60 || true
  k -n "$system" logs deployment/tarn-operator --tail=20 || true
  k -n "$system" logs deployment/tarn-csi-controller -c tarn-csi --tail=20 || true
}

build() {
  say "Build Tarn"
  hack/deps.sh build cluster
  cmake --preset release >/dev/null
  cmake --build build/release --target tarn-server tarn-csi tarn-tunnel tarn-operator tarnctl \
    mount.tarn |
    tail -n 1
  hack/image.sh build/images/tarn.tar
}

bring_up() {
  if [ -z "$context" ]; then
    say "Start Kubernetes: two nodes, from its own sources"
    [ -e "/run/netns/$NAME" ] || hack/cluster.sh up
    hack/cluster.sh load build/images/tarn.tar
  elif [ -n "$load" ]; then
    say "Load the image into $context"
    sh -c "${load//\{\}/build/images/tarn.tar}"
  fi
  show get nodes -o wide
}

install() {
  say "Install Tarn with Helm"
  local set=()
  [ -z "$image" ] || set=(--set "image.repository=${image%:*}" --set "image.tag=${image##*:}")
  h upgrade --install tarn charts/tarn --namespace "$system" --create-namespace "${set[@]}" \
    --wait --timeout 3m | sed -n '1,6p'
  show -n "$system" get pods -o wide
}

# One file system on the first node's disk, and a StorageClass for it.
make_file_system() {
  say "Make a file system, and a StorageClass for it"
  k create namespace "$ns" --dry-run=client -o yaml | k apply -f - >/dev/null
  local node; node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
  k -n "$ns" apply -f - <<YAML
apiVersion: tarn.dev/v1alpha1
kind: FileSystem
metadata: {name: shared}
spec:
  throughputMode: elastic
  storage: {hostPath: {path: /var/lib/tarn/shared, nodeName: $node}}
YAML
  until_ok "FileSystem is Ready" 120 \
    k -n "$ns" wait filesystem/shared --for=condition=Ready --timeout=1s ||
    { diagnose; fail "the FileSystem is not Ready"; }
  show -n "$ns" get filesystem
  k apply -f - <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: tarn}
provisioner: efs.csi.tarn.dev
allowVolumeExpansion: true
parameters:
  provisioningMode: efs-ap
  fileSystemRef: $ns/shared
  directoryPerms: "0700"
YAML
}

run_pods() {
  say "Claim a volume, and run two web pods on two nodes with it"
  k -n "$ns" apply -f deploy/examples/web-farm/web.yaml
  until_ok "PersistentVolumeClaim is Bound" 60 phase_is pvc/uploads .status.phase Bound ||
    { diagnose; fail "the claim is not Bound"; }
  until_ok "both pods are Ready" 120 phase_is deployment/web .status.readyReplicas 2 ||
    { diagnose; fail "the pods are not Ready"; }
  show -n "$ns" get pvc,pods -o wide
}

pods() {
  k -n "$ns" get pods -l app=web --field-selector status.phase=Running -o name |
    sed 's#pod/##' | sort
}
# via POD CURL_ARGS... PATH: one HTTP request to that pod alone.
via() {
  local pod=$1 port pid out status=0; shift
  out=$(mktemp)
  inside kubectl ${context:+--context "$context"} -n "$ns" port-forward "pod/$pod" :8080 >"$out" &
  pid=$!
  for _ in $(seq 100); do
    port=$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$out"); [ -z "$port" ] || break; sleep 0.1
  done
  inside curl -sS --fail --max-time 120 "${@:1:$#-1}" "http://127.0.0.1:$port${*: -1}" || status=$?
  kill $pid; wait $pid 2>/dev/null || true
  rm -f "$out"
  return $status
}
sum_through() { via "$1" /files/upload.bin | sha256sum | cut -d' ' -f1; }
check_through() { # check_through POD SUM
  local got; got=$(sum_through "$1")
  [ "$got" = "$2" ] || fail "$1 serves other bytes: $got"
  echo "$1 serves the same bytes: sha256 ${got:0:16}…"
}

share_bytes() {
  local file=build/images/tarn.tar sum first second
  sum=$(sha256sum "$file" | cut -d' ' -f1)
  first=$(pods | sed -n 1p); second=$(pods | sed -n 2p)
  say "Upload $file ($(du -h "$file" | cut -f1)) through $first, download it through $second"
  via "$first" -X POST --data-binary "@$file" "/cgi-bin/upload?upload.bin"
  check_through "$second" "$sum"
  k -n "$ns" exec "$second" -- df -h /www/files
  say "Delete both pods: the data is there for new ones"
  k -n "$ns" delete pod -l app=web --wait
  until_ok "both new pods are Ready" 120 phase_is deployment/web .status.readyReplicas 2 ||
    { diagnose; fail "the new pods are not Ready"; }
  for pod in $(pods); do check_through "$pod" "$sum"; done
  show -n "$ns" get pods -o wide
}

build
bring_up
install
make_file_system
run_pods
share_bytes
say "Done"
[ -n "$context" ] ||
  echo "The cluster stays up: hack/cluster.sh kubectl …   End it: hack/demo.sh --down"
