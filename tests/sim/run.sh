#!/usr/bin/env bash
# The simulation: the seeds that once failed (seeds.txt), then new ones for two minutes, or for the
# seconds given. Each seed is a test case. A failure prints how to replay it, at once and once more
# at the end.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-120}
program=${TARN_BIN:-build/release/bin}/tarn-sim
passed=0 failed=0
log=$(mktemp) failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT

simulate() { # simulate ARGUMENTS...: its output also goes to $log
  local status
  "$program" "$@" | (trap '' TERM; exec tee "$log") # it says which seed a time limit ended
  status=${PIPESTATUS[0]}
  grep -aE '^(FAILED seed|replay:)' "$log" >>"$failures"
  return "$status"
}

known() {
  local arguments
  while read -r arguments; do
    [ -n "$arguments" ] && [ "${arguments#\#}" = "$arguments" ] || continue
    # shellcheck disable=SC2086  # several words
    if simulate $arguments; then
      passed=$((passed + 1))
    else
      echo "sim: the known seed '$arguments' failed" | tee -a "$failures"
      failed=$((failed + 1))
    fi
  done <tests/sim/seeds.txt
}

new() { # new SECONDS ARGUMENTS...
  local first=$((RANDOM * 32768 * 1000 + RANDOM * 1000)) status=0 good bad
  local arguments=(--first "$first" --seconds "$1" "${@:2}")
  echo "sim: ${arguments[*]}"
  simulate "${arguments[@]}" || status=$?
  read -r good _ bad _ < <(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  if [ "$status" != 0 ] && [ "${bad:-0}" = 0 ]; then # it broke off
    echo "sim: tarn-sim ${arguments[*]} ended with status $status" | tee -a "$failures"
    bad=1
  fi
  passed=$((passed + ${good:-0})) failed=$((failed + ${bad:-0}))
}

known
new $((seconds / 2)) --engine memory
new $((seconds / 3)) --engine local
new $((seconds - seconds / 2 - seconds / 3)) --engine local --faults
[ ! -s "$failures" ] || { echo "sim: what failed:"; cat "$failures"; }
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
