#!/usr/bin/env bash
# run.sh asan|tsan [SECONDS]: builds the server's tests and the simulation with AddressSanitizer and
# UndefinedBehaviorSanitizer (in the build of the fuzzers, which has both), or with ThreadSanitizer,
# runs the tests and the simulation for SECONDS (default 60), and ends with "N passed, N failed".
# TARN_TESTS: a pattern of test programs, instead of all.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
suite=${1:?asan or tsan}
seconds=${2:-60}
case $suite in
  asan) preset=fuzz ;;
  tsan) preset=tsan ;;
  *) echo "sanitizers: '$suite' is not asan or tsan"; exit 2 ;;
esac
# The programs that hold the server. What only the CSI driver and the operator use is not here.
programs=(common_test tls_test crypto_test policy_test xdr_test rpc_test vfs_test
  engine_memory_test engine_local_test nfs4_test nfs_test identity_test audit_test access_test)
# The distribution's gRPC is not instrumented: to ThreadSanitizer all that one of its threads hands
# to another is a race.
[ "$suite" = tsan ] || programs+=(control_test daemon_test keys_test tunnel_test tunnel_seams_test)
log=build/tests/$suite-build.log
mkdir -p build/tests
if ! { cmake --preset "$preset" &&
  cmake --build "build/$preset" --target "${programs[@]}" tarn-sim; } >"$log" 2>&1; then
  tail -n 40 "$log"
  echo "0 passed, 1 failed"
  exit 1
fi
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/tsan.supp:second_deadlock_stack=1
TARN_TESTS=${TARN_TESTS:-"^($(IFS='|'; echo "${programs[*]}"))$"}
export TARN_TESTS
passed=0 failed=0
run() { # run CMD...: counts what it says at its end
  local counts status good bad log=build/tests/$suite-part.log
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  counts=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  read -r good _ bad _ <<<"${counts:-0 passed, 1 failed}"
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  passed=$((passed + good)) failed=$((failed + bad))
}
run tests/unit/run.sh "build/$preset"
TARN_BIN=build/$preset/bin run tests/sim/run.sh "$seconds"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
