#!/usr/bin/env bash
# test.sh [SUITE...]: installs what it needs, builds everything, runs every suite (or those named)
# and ends with "N passed, N failed". A suite that did not run, or did not say how it ended, is a
# failure. CI runs this.
#
# Each suite is a script that ends with a line "N passed, N failed"; its whole output is in
# build/tests/SUITE.log.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
declare -A suites=(
  [lint]="hack/lint.sh"
  [unit]="tests/unit/run.sh"
  [instructions]="tests/instructions/run.py"
  [sim]="tests/sim/run.sh"
  [fuzz]="tests/fuzz/run.sh"
  [asan]="tests/sanitizers/run.sh asan"
  [tsan]="tests/sanitizers/run.sh tsan"
  [kernel]="tests/kernel/run.sh"
  [fuse]="tests/fuse/run.sh"
  [tunnel]="tests/tunnel/run.sh"
  [keys]="tests/keys/run.sh"
  [sanity]="tests/csi/run.sh"
  [cluster]="tests/cluster/run.sh"
)
order=(lint unit instructions sim fuzz asan tsan kernel fuse tunnel keys sanity cluster)
suite_seconds_max=2400
[ $# = 0 ] || order=("$@")
logs=build/tests
mkdir -p "$logs"
passed=0 failed=0 begin=$SECONDS
failures=()  # a line each: what is asked first of a red run
conclude() {
  [ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
  exit
}
failed_to_start() { echo "test: $1"; failed=$((failed + 1)); conclude; }

must() { # must NAME CMD...: a step without which nothing can be tested
  local log=$logs/$1.log; shift
  "$@" >"$log" 2>&1 || { tail -n 40 "$log"; failed_to_start "'$*' failed"; }
}
must deps hack/deps.sh
must cmake cmake --preset release
must build cmake --build build/release
echo "test: built in $((SECONDS - begin)) s"

for suite in "${order[@]}"; do
  start=$SECONDS log=$logs/$suite.log
  timeout --kill-after=30 $suite_seconds_max ${suites[$suite]} >"$log" 2>&1 </dev/null
  status=$?
  counts=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  read -r good _ bad _ <<<"${counts:-0 passed, 0 failed}"
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi       # it broke off
  if [ "$good" = 0 ] && [ "$bad" = 0 ]; then bad=1; fi          # it ran nothing
  printf 'test: %-12s %4d passed, %d failed  (%d s, exit %d)\n' \
    "$suite" "$good" "$bad" $((SECONDS - start)) "$status"
  if [ "$bad" != 0 ]; then
    echo "--- from $log"
    grep -aE -A 25 ': Failure$|ERROR: [A-Za-z]+Sanitizer|WARNING: ThreadSanitizer|runtime error' \
      "$log" | head -n 120
    tail -n 60 "$log"
    echo "---"
    mapfile -t names < <(grep -aE '\[  FAILED  \] .+ \([0-9]+ ms\)|^(ERROR|FAIL|not ok)' "$log" |
      sort -u | head -n 20)
    [ ${#names[@]} != 0 ] || names=("no test by name; exit $status")
    failures+=("${names[@]/#/$suite: }")
  fi
  passed=$((passed + good)) failed=$((failed + bad))
done
conclude
