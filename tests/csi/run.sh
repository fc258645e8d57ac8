#!/usr/bin/env bash
# The CSI driver as it runs: tarn-csi controller and node as processes, a real tarn-server, real
# mounts. First csi-sanity, which must fail nothing and may skip only what skipped.txt lists; then
# our own cases (*_e2e.cc): restarts, dead FUSE processes, servers that hang. Needs root.
#
# In a mount namespace of its own, so that nothing stays mounted whatever happens, and a network of
# its own, where the tunnel has its loopback addresses for itself.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
sanity_program() { # the cluster's, or one built alone
  . hack/cluster/common.sh
  if [ -x "$BIN/csi-sanity" ]; then sanity=$BIN/csi-sanity; return 0; fi
  local key; key=$(sha256sum hack/cluster/tools/csi-sanity/go.sum | cut -c1-16)
  sanity=$CACHE/csi-sanity-$key
  [ -x "$sanity" ] && return 0
  mkdir -p "$CACHE"
  need_go && CGO_ENABLED=0 go -C hack/cluster/tools/csi-sanity build -mod=readonly -trimpath \
    -o "$sanity" github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity
}
if [ "${TARN_CSI_UNSHARED:-}" = "" ]; then
  sanity_program || { echo "csi-sanity could not be built"; exit 1; }
  TARN_CSI_UNSHARED=$sanity exec unshare --mount --net --propagation private -- "$0" "$@"
fi
sanity=$TARN_CSI_UNSHARED
ip link set lo up
build=$PWD/${1:-build/release}
work=$(mktemp -d /tmp/tarn-csi-XXXXXX)
passed=0 failed=0 pids=()
# Only what this script started. FUSE processes end with their mounts.
cleanup() {
  [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
  grep -oE " $work/[^ ]*" /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l 2>/dev/null
  wait
  [ -n "${TARN_KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAIL: $1"; }
wait_for_socket() { for _ in $(seq 100); do [ -S "$1" ] && return 0; sleep 0.1; done; return 1; }
start() { # start NAME CMD...
  local name=$1; shift
  "$@" >"$work/$name.log" 2>&1 </dev/null & pids+=($!)
}

run_sanity() { # run_sanity NODE: against that node plugin
  local report=$work/report.xml
  rm -f "$report"
  "$sanity" --csi.endpoint="unix://$work/$1.sock" \
    --csi.controllerendpoint="unix://$work/controller.sock" \
    --csi.mountdir="$work/mount" --csi.stagingdir="$work/stage" \
    --csi.testvolumeparameters="$work/parameters.yaml" \
    --csi.testvolumesize=$((1 << 30)) --csi.testvolumeexpandsize=$((2 << 30)) \
    --ginkgo.junit-report="$report" --ginkgo.no-color >"$work/sanity.log" 2>&1
  local status=$?
  grep -aE '^(Ran |FAIL|\[FAIL\]|  \[FAIL\])' "$work/sanity.log"
  [ -s "$report" ] || { tail -n 30 "$work/sanity.log"; bad "csi-sanity wrote no report"; return; }
  python3 tests/csi/sanity_report.py "$report" tests/csi/skipped.txt >"$work/counts"
  local judged=$?
  cat "$work/counts"
  local good wrong
  read -r _ good _ wrong _ <<<"$(grep '^sanity: [0-9]* passed' "$work/counts")"
  passed=$((passed + ${good:-0})) failed=$((failed + ${wrong:-0}))
  [ $judged = 0 ] || bad "csi-sanity: failures, or skipped other cases than skipped.txt lists"
  if [ $status != 0 ] && [ "${wrong:-0}" = 0 ]; then bad "csi-sanity ended with $status"; fi
}

certificates() { # an authority, and what it signed for the file server; in $work/tls
  mkdir -p "$work/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=authority \
    -keyout "$work/ca.key" -out "$work/tls/ca.crt" &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server \
      -addext "subjectAltName=DNS:$fs.efs.tarn" -keyout "$work/tls/tls.key" \
      -out "$work/server.csr" &&
    openssl x509 -req -in "$work/server.csr" -CA "$work/tls/ca.crt" -CAkey "$work/ca.key" -days 1 \
      -copy_extensions copy -out "$work/tls/tls.crt"
}

port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
fs="fs-0123456789abcdef0"
mkdir -p "$work/registry" "$work/kubelet/plugins_registry" "$work/kubelet/pods"
cat >"$work/registry/$fs.json" <<JSON
{"fileSystemId": "$fs", "namespace": "default", "name": "shared",
 "control": "unix:$work/control.sock", "nfs": "127.0.0.1:$port"}
JSON
cat >"$work/parameters.yaml" <<YAML
provisioningMode: efs-ap
fileSystemId: $fs
directoryPerms: "700"
YAML
certificates 2>"$work/openssl.log" || { cat "$work/openssl.log"; bad "no certificates"; }
start server "$build/bin/tarn-server" --data-dir "$work/data" --listen "127.0.0.1:$port" \
  --control-socket "$work/control.sock" --file-system-id $fs --tls-dir "$work/tls"
start tunnel "$build/bin/tarn-tunnel" --state-dir "$work/tunnel" --socket "$work/tunnel.sock"
start controller "$build/bin/tarn-csi" controller --endpoint "unix://$work/controller.sock" \
  --registry-dir "$work/registry"
start node "$build/bin/tarn-csi" node --endpoint "unix://$work/node.sock" --node-id test-node \
  --kubelet-dir "$work/kubelet" --max-volumes 100
# The same, but through TLS.
start node-tls "$build/bin/tarn-csi" node --endpoint "unix://$work/node-tls.sock" \
  --node-id test-node --kubelet-dir "$work/kubelet" --max-volumes 100 --no-registration \
  --state-dir "$work/state-tls" --tunnel "$work/tunnel.sock" --nfs-ca-file "$work/tls/ca.crt"
for socket in control controller tunnel node node-tls; do
  wait_for_socket "$work/$socket.sock" || { cat "$work"/*.log; bad "$socket does not listen"; }
done

if [ $failed = 0 ]; then
  run_sanity node
  run_sanity node-tls
  leaks=$(grep -c " $work/" /proc/self/mountinfo)
  if [ "$leaks" = 0 ]; then ok "no mount left"; else bad "$leaks mounts left"; fi
  left=$("$build/bin/tarnctl" --server "unix:$work/control.sock" ap list --output json |
    grep -o '"fsap-[0-9a-f]*"' | sort -u | wc -l)
  if [ "$left" = 0 ]; then ok "no access point left"; else bad "$left access points left"; fi
  TARN_BIN=$build/bin timeout 400 "$build/bin/csi_e2e" | tee "$work/e2e.log"
  [ "${PIPESTATUS[0]}" = 0 ] || bad "csi_e2e"
  passed=$((passed + $(grep -ac '^\[       OK \]' "$work/e2e.log")))
fi
[ $failed = 0 ] || tail -n 40 "$work"/{server,controller,tunnel,node,node-tls}.log
echo "$passed passed, $failed failed"
[ $failed = 0 ]
