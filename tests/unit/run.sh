#!/usr/bin/env bash
# run.sh [BUILD]: runs every GoogleTest program that ctest knows in BUILD (default build/release),
# or those whose names match $TARN_TESTS, and counts the test cases in them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${1:-build/release}
log=$(mktemp); trap 'rm -f "$log"' EXIT
ctest --test-dir "$build" --verbose --no-tests=error -R "${TARN_TESTS:-.}" -j 2 | tee "$log"
status=${PIPESTATUS[0]}
sum() { grep -aoE "$1" "$log" | grep -oE '[0-9]+' | awk '{n += $1} END {print n + 0}'; }
passed=$(sum '\[  PASSED  \] [0-9]+ tests?')
failed=$(sum '\[  FAILED  \] [0-9]+ tests?,')
skipped=$(sum '\[  SKIPPED \] [0-9]+ tests?')
failed=$((failed + skipped))   # a check that cannot run says so and fails
[ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
