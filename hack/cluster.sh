#!/usr/bin/env bash
# A real Kubernetes with two nodes on this machine: no container engine, no systemd, nothing on the
# machine's own network.
#
#   cluster.sh up            install packages, build (cached), start; prints how long each step took
#   cluster.sh down          end it and remove all that it made
#   cluster.sh kubectl ...   kubectl as administrator        cluster.sh helm ...   Helm likewise
#   cluster.sh load TAR...   import images into all nodes   cluster.sh exec ...   run on its network
#   cluster.sh build         only build the programs         cluster.sh logs NAME  a daemon's log
#
# The names of its places: hack/cluster/common.sh. Needs root, network namespaces, overlayfs and
# cgroups.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cluster/common.sh"

up() {
  [ "$(id -u)" = 0 ] || die "needs root"
  [ ! -e "/run/netns/$NAME" ] || die "'$NAME' is there already: hack/cluster.sh down first"
  local begin=$EPOCHREALTIME n
  step() { printf 'cluster: %6.1f s  %s\n' "$(echo "$EPOCHREALTIME - $begin" | bc)" "$1"; }
  "$here/deps.sh" cluster
  "$here/cluster/build.sh"; step "programs are built"
  "$here/cluster/images.sh"; step "images of the sidecars are built"
  rm -rf --one-file-system "$STATE"; mkdir -p "$STATE" "$LOG" "$PIDS"
  ulimit -n "$(ulimit -Hn)"
  "$here/cluster/pki.sh"
  "$here/cluster/control-plane.sh"; step "control plane is ready"
  for n in $(seq "$NODES"); do "$here/cluster/node.sh" "$n"; step "node$n is Ready"; done
  "$here/cluster/load.sh" "$BIN"/images/*.tar; step "images are loaded"
}

command=${1-}; [ $# = 0 ] || shift
case $command in
  up) up || { status=$?; tail -n 5 "$LOG"/*.log >&2 2>/dev/null || true; exit $status; } ;;
  down) exec "$here/cluster/down.sh" ;;
  build) "$here/deps.sh" cluster; "$here/cluster/build.sh"; exec "$here/cluster/images.sh" ;;
  load) exec "$here/cluster/load.sh" "$@" ;;
  kubectl | helm)
    [ -e "/run/netns/$NAME" ] || die "'$NAME' is not up"
    in_control "$command" "$@"
    ;;
  exec) in_control "$@" ;;
  logs) exec cat "$LOG/${1:?name of a daemon, see $LOG}.log" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
