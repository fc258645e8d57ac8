#!/usr/bin/env bash
# run.sh asan|tsan: builds the server's tests with AddressSanitizer and UndefinedBehaviorSanitizer,
# or with ThreadSanitizer, runs them all and ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
preset=${1:?asan or tsan}
# The programs that hold the server. What only the CSI driver and the operator use is not here.
tests=(common_test xdr_test rpc_test vfs_test engine_memory_test engine_local_test nfs4_test
  nfs_test control_test daemon_test)
log=build/tests/$preset-build.log
mkdir -p build/tests
if ! { cmake --preset "$preset" && cmake --build "build/$preset" --target "${tests[@]}"; } \
    >"$log" 2>&1; then
  tail -n 40 "$log"
  echo "0 passed, 1 failed"
  exit 1
fi
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
TARN_TESTS="^($(IFS='|'; echo "${tests[*]}"))$"
export TARN_TESTS
exec tests/unit/run.sh "build/$preset"
