#!/usr/bin/env bash
# The whole path on a real two-node Kubernetes: hack/demo.sh, then the cases of cases.sh.
#   KEEP=1: leave the cluster up         ONLY=PATTERN: only the cases that match
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export TARN_CLUSTER=${TARN_CLUSTER:-tarn-test}
. hack/cluster/common.sh
. tests/cluster/lib.sh
. tests/cluster/security.sh
. tests/cluster/mount.sh
. tests/cluster/cases.sh
passed=0 failed=0
[ -n "${KEEP-}" ] || trap 'hack/cluster.sh down' EXIT

run() { # run NAME CMD...
  local start=$SECONDS name=$1; shift
  WHY=
  if "$@"; then passed=$((passed + 1)); echo "PASS $name ($((SECONDS - start)) s)"
  else failed=$((failed + 1)); echo "FAIL $name ($((SECONDS - start)) s)${WHY:+: $WHY}"; fi
}
if [ ! -e "/run/netns/$NAME" ] || [ -z "${KEEP-}" ]; then
  [ ! -e "/run/netns/$NAME" ] || hack/cluster.sh down
  run demo hack/demo.sh
fi
if [ "$failed" = 0 ]; then
  for name in $(grep -oh '^case_[a-z0-9_]*' tests/cluster/{security,mount,cases}.sh); do
    [[ $name == *${ONLY-}* ]] || continue
    run "${name#case_}" "$name"
    clean
  done
  k -n "$SYSTEM" get pods -o wide
fi
if [ "$failed" != 0 ]; then
  for log in deployment/tarn-operator deployment/tarn-csi-controller; do
    k -n "$SYSTEM" logs "$log" --all-containers --tail=30
  done
  k -n "$SYSTEM" logs -l app=tarn-csi-node --all-containers --prefix --tail=100
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
