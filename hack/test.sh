#!/usr/bin/env bash
# Builds everything and runs every suite that the project has; ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
failed_to_start() { echo "$1"; echo "0 passed, 1 failed"; exit 1; }
hack/deps.sh || failed_to_start "test: packages are missing"
cmake --preset release >/dev/null || failed_to_start "test: cmake failed"
cmake --build build/release || failed_to_start "test: the build failed"
report=build/release/ctest.xml
ctest --test-dir build/release --output-on-failure --no-tests=error --output-junit ctest.xml
status=$?
[ -f "$report" ] || failed_to_start "test: ctest wrote no report"
count() { sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$report" | head -1; }
total=$(count tests)
bad=$(( $(count failures) + $(count disabled) + $(count skipped) ))
[ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
echo "$(( total - bad )) passed, $bad failed"
[ "$bad" = 0 ]
