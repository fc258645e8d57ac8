#!/usr/bin/env bash
# run.sh [--server tarn|ganesha] [--only PATTERN] [--delegations] [SUITE...]: the Linux kernel's NFS
# client, in User-Mode Linux, against a real tarn-server. Suites (default: all but the last):
#   cases  what people do with files, over vers=4.2, 4.1 and 4.0, with a client for each
#   delegations  some of them on a file system that gives delegations
#   crash  trees and names are made while the server is killed (-9) and started again
#   connections  the same over several connections each, which are cut
#   certificates  mounts of one client by two certificates, over TLS
#   identities  pods of one node and volume, and the mount helper, through the tunnel: each has its
#          own rights
#   soak   a mixed load of four clients, and kills; hack/kernel-soak.sh does it for half an hour
#   bench  (only by name) git clone, tar x and rm -rf, beside NFS-Ganesha
# Ends with "N passed, N failed". Logs: build/tests/kernel/.
#
# --delegations: the file system gives them, which it does not by itself.
# TARN_KERNEL_SCALE (default 1) multiplies the amount of work and the number of kills.
# TARN_BUILD (default build/release) is where the programs are.
# Nothing of it is seen outside: all runs in namespaces of its own, which end with this script.
# Needs no root; run by root, it needs no user namespaces.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

if [ -z "${TARN_KERNEL_WORK:-}" ]; then
  TARN_KERNEL_WORK=$(mktemp -d "${TMPDIR:-/tmp}/tarn-kernel.XXXXXX") || exit 1
  export TARN_KERNEL_WORK
  trap 'rm -rf "$TARN_KERNEL_WORK"' EXIT
  trap 'exit 143' TERM INT
  user=()
  [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
  unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$@" &
  wait $!
  exit
fi

HERE=$PWD/tests/kernel
WORK=$TARN_KERNEL_WORK
LOGS=$PWD/build/tests/kernel
BUILD=${TARN_BUILD:-build/release}
SCALE=${TARN_KERNEL_SCALE:-1}
SERVER=tarn
ONLY='*'
DELEGATIONS=
SEED=
MOUNT_OPTIONS=
SECOND_ADDRESS=
export HERE WORK LOGS BUILD SCALE ONLY DELEGATIONS SEED MOUNT_OPTIONS SECOND_ADDRESS
while [ $# -gt 0 ]; do
  case $1 in
    --server) SERVER=$2; shift 2 ;;
    --only) ONLY=$2; shift 2 ;;
    --delegations) DELEGATIONS=1; shift ;;
    cases | crash | connections | certificates | soak | delegations | identities | bench) break ;;
    *) echo "kernel: unknown argument $1; see the head of tests/kernel/run.sh" >&2; exit 2 ;;
  esac
done
[ $# -gt 0 ] || set -- cases delegations crash connections certificates identities soak
mkdir -p "$LOGS"
. "$HERE/host/network.sh"
. "$HERE/host/server.sh"
. "$HERE/host/guests.sh"
. "$HERE/host/journals.sh"
. "$HERE/host/source_tree.sh"

failed_to_start() { echo "FAIL start: $*"; echo "0 passed, 1 failed"; exit 1; }
command -v linux.uml >/dev/null || failed_to_start "User-Mode Linux is missing; run hack/deps.sh"
make_network || failed_to_start "the test network could not be made"
for suite; do
  . "$HERE/host/$suite.sh"
  "run_$suite" 2>&1 | tee "$LOGS/$suite.log"
done
results=$(cat "$WORK"/results-* 2>/dev/null)
passed=$(grep -c '^PASS ' <<<"$results")
failed=$(grep -c '^FAIL ' <<<"$results")
[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
