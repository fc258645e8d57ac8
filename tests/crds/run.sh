#!/usr/bin/env bash
# What the API server itself says to good and bad custom resources: creates.txt and changes.txt,
# line by line, on a cluster with the resources' definitions (TARN_CLUSTER; see hack/cluster.sh).
# Leaves nothing behind. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. hack/cluster/common.sh
k() { in_control kubectl "$@"; }
ns=tarn-crds-test
passed=0 failed=0
k create namespace $ns >/dev/null || exit 1
trap 'k delete namespace $ns --wait=false >/dev/null' EXIT

# The definitions are served a moment after they are made.
definitions=(crd/{filesystems,accesspoints,mounttargets,lifecyclepolicies}.tarn.dev)
k wait --for=condition=Established "${definitions[@]}" --timeout=30s >/dev/null || exit 1

object() { # object KIND NAME SPEC
  printf 'apiVersion: tarn.dev/v1alpha1\nkind: %s\n' "$1"
  printf 'metadata: {name: %s, namespace: %s}\nspec: %s\n' "$2" $ns "$3"
}
judge() { # judge WHAT WANTED STATUS OUTPUT
  local good=''
  if [ -z "$2" ]; then
    [ "$3" = 0 ] && good=1
  else
    [ "$3" != 0 ] && [[ $4 == *"$2"* ]] && good=1
  fi
  if [ -n "$good" ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  printf 'FAIL %s\n  wanted: %s\n  got: %s\n' "$1" "${2:-accepted}" "$4"
}
trimmed() { sed 's/^ *//; s/ *$//' <<<"$1"; }

while IFS='|' read -r kind spec wanted; do
  case $kind in '#'* | '') continue ;; esac
  out=$(object "$(trimmed "$kind")" a "$spec" | k apply --dry-run=server -f - 2>&1); status=$?
  judge "$kind|$spec" "$(trimmed "$wanted")" $status "$out"
done <tests/crds/creates.txt

n=0
while IFS='|' read -r kind spec patch wanted; do
  case $kind in '#'* | '') continue ;; esac
  kind=$(trimmed "$kind") n=$((n + 1))
  if out=$(object "$kind" "c$n" "$spec" | k create -f - 2>&1); then
    out=$(k -n $ns patch "$kind" "c$n" --dry-run=server --type=merge \
      -p "{\"spec\": $patch}" 2>&1); status=$?
    k -n $ns delete "$kind" "c$n" --wait=false >/dev/null # before an operator does much for it
  else
    status=1 out="not even made: $out"
  fi
  judge "$kind|$spec|$patch" "$(trimmed "$wanted")" $status "$out"
done <tests/crds/changes.txt

# Names become those of Services and pods.
for name in 1a a.b "$(printf 'a%.0s' {1..49})"; do
  out=$(object FileSystem "$name" '{storage: {size: 1Gi}}' | k apply --dry-run=server -f - 2>&1)
  status=$?
  judge "FileSystem $name" "metadata.name names a Service" $status "$out"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
