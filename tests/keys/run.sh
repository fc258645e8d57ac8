#!/usr/bin/env bash
# run.sh [BUILD]: the key providers against HashiCorp Vault's Transit engine and a key management
# plugin made with Kubernetes' library, both built from Go modules (hack/keys).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${1:-build/release}
peers=$(hack/keys/build.sh) || { echo "keys: the peers could not be built"; exit 1; }
log=$(mktemp); trap 'rm -f "$log"' EXIT
TARN_KEY_PEERS=$peers "$build/bin/keys_e2e" | tee "$log"
status=${PIPESTATUS[0]}
passed=$(grep -aoE '\[  PASSED  \] [0-9]+' "$log" | grep -oE '[0-9]+')
failed=$(grep -aoE '\[  FAILED  \] [0-9]+ tests?,' "$log" | grep -oE '[0-9]+')
[ "$status" = 0 ] || failed=${failed:-1}
echo "${passed:-0} passed, ${failed:-0} failed"
[ "${failed:-0}" = 0 ]
