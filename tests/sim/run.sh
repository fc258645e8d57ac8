#!/usr/bin/env bash
# The simulation: the seeds that once failed (seeds.txt), then new ones for two minutes, or for the
# seconds given. Each seed is a test case. A failure prints how to replay it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-120}
program=${TARN_BIN:-build/release/bin}/tarn-sim
passed=0 failed=0

known() {
  local arguments
  while read -r arguments; do
    [ -n "$arguments" ] && [ "${arguments#\#}" = "$arguments" ] || continue
    # shellcheck disable=SC2086  # several words
    if "$program" $arguments; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done <tests/sim/seeds.txt
}

new() { # new ENGINE SECONDS
  local log counts status
  log=$(mktemp)
  local first=$((RANDOM * 32768 * 1000 + RANDOM * 1000))
  echo "sim: $1 engine, seeds from $first on for $2 s"
  "$program" --first "$first" --seconds "$2" --engine "$1" | tee "$log"
  status=${PIPESTATUS[0]}
  counts=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  rm -f "$log"
  read -r good _ bad _ <<<"${counts:-0 passed, 1 failed}"
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi # it broke off
  passed=$((passed + good)) failed=$((failed + bad))
}

known
new memory $((seconds * 2 / 3))
new local $((seconds / 3))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
